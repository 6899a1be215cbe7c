"""The management node: many z/VM systems, their guests, networks, images, and the jobs that change them.

Why it exists: one place owns intent and history. What z/VM says is the truth about z/VM; the database here holds
which guests are ours, what was asked, what each step did, and the images. Every change is a job
(:mod:`zvmcloud.manager.jobs`): a plan made before anything runs, whose steps are operations of a zHCP (the agent of
one z/VM system).

May import: the leaves (``smapi``, ``cp``, ``directory``, ``images``) and the agent's client side
(``zvmcloud.zhcp.client`` and ``.messages``). Must never import the front doors (``api``), the simulator, or DBOS
outside ``jobs/engine.py``; must never speak SMAPI or CP itself.

One service per subject: :mod:`.guests`, :mod:`.deploys`, :mod:`.disks`, :mod:`.networks`, :mod:`.images`,
:mod:`.hosts`; :mod:`.node` ties them together; :mod:`.membership` lets several
nodes work with one database.
"""
