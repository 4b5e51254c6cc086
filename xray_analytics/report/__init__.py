"""What people look at: reports of the portfolio."""
