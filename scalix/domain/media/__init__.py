"""Upper bounds on the pages, seconds and pixels of files that come with a prompt, measured from their bytes."""
