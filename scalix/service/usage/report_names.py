"""The names of the reports, for those who only offer them."""

OF_A_USER = ("user", "key")
REPORTS = ("day", "tier", "model", "provider", "deployment", *OF_A_USER, "top", "errors", "margin")
