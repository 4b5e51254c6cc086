"""``python -m xray_analytics.cli``."""

from . import main

main()
