"""Helpers that tests share: music folders from literals, an independent look at the disk, short ways to scan."""
