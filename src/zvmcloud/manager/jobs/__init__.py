"""Jobs: every change to a z/VM system is a plan of steps, journaled before, during and after.

::

    Plan (steps made before anything runs) --> Journal (tables jobs, job_steps, calls)
        inline:  Runner.run(plan)       one zHCP operation and its record; answered in the same HTTP request
        durable: Engine.submit(job)     DBOS workflow over Runner.step; survives kill -9 of the manager

Both ways share the Runner and the Journal, so a job looks the same afterwards. A zHCP operation is idempotent under
its key (job, step name) and undoes itself when it fails; the manager undoes the earlier steps of the plan, last one
first.

A cancel counts when it is written down; :mod:`.cancels` brings it to the agent of the step that runs.
A step of an agent that changes a directory or copies an image waits for its turn (:mod:`.turns`). A job may run others
(:mod:`.trees`). One that is over is retried or undone (:mod:`.again`) while what it is about is the same thing
(:mod:`.overtaken`).

Only :mod:`.engine` imports DBOS. Nothing here knows HTTP doors.
"""
