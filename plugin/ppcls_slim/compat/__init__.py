"""Everything that knows another package's version.

A version check, a monkeypatch or a ``try: import`` of an upstream package lives in this folder and
nowhere else, each with the release that needs it and what it may be deleted with.
"""
