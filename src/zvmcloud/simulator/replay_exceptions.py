"""Exchanges of the recording that the preset `recorded71` answers otherwise, each with the reason.

All are consequences of the order of the file, which is that of names: in one run over one system, a request that
creates an object and one further up that needs it cannot both find what they need.
"""

EXCEPTIONS = {
    "Directory_Manager_Local_Tag_Query_DM/1.test": (
        "order: the tag is deleted two requests before (0/0, which needs an entry list without it), and GT@PING is "
        "defined by Image_Definition_Create_DM further down"
    ),
    "Image_Create_DM/1.test": "order: twelve requests before it work on GT@PONG's entry, so it is there (400/8)",
    "Image_Delete_DM/1.test": (
        "order: GT@PONG is logged on, as requests before and behind it need, and stays (596/6831)"
    ),
    "Shared_Memory_Replace/1.test": "order: two requests before, the segment is deleted (600/28)",
    "Virtual_Network_Adapter_Create/1.test": (
        "order: adapter 9000 is coupled by a request before, so it is there (204/4)"
    ),
    "Virtual_Network_Adapter_Connect_Vswitch/1.test": ("order: adapter 9100 is created by a request behind it (204/8)"),
    "Virtual_Network_Adapter_Connect_Vswitch_DM/1.test": (
        "order: the NICDEF of 9100 is created by a request behind it (404/8)"
    ),
    "Virtual_Network_Adapter_Disconnect/1.test": "order: the request before deletes adapter 9000 (204/8)",
    "Virtual_Network_Vswitch_Create_Extended/2.test": "order: the request before creates the same switch (212/36)",
}
