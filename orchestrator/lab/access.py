"""The key that the lab's users sign with."""

ACCESS_KEY = "AKIALABLABLABLABLAB0"
SECRET_KEY = "lab-secret-access-key-that-opens-nothing"  # noqa: S105 - opens nothing
