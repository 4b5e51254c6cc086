"""What the companies look like as documented reports."""
