"""What providers answer, read for whichever engine asks them: usage, ends and failures noted, odd streams mended."""
