"""The web page of ``grounded-ram ui``: one picture at a time, and folders of them."""
