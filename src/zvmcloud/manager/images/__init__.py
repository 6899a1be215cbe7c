"""The image repository: each image's bytes are kept once, under their SHA-256, and known by any number of names.

``<state>/images/<first two digits>/<sha256>`` holds the bytes as imported. An import streams into ``incoming/`` while
it is digested, is checked and then renamed, so a file under its digest is always whole.

The room knows files, the database and jobs; it imports the image formats (leaves), never a front door. It hands out no
path that a client chose.
"""

from zvmcloud.manager.images.repository import Image, Images

__all__ = ["Image", "Images"]
