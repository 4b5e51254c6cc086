"""Make the README's pictures from the sandbox: ``python notebooks/pictures/make.py``."""

import tempfile
from pathlib import Path

import xray_analytics as xa
from xray_analytics.charts import canvas

HERE = Path(__file__).parent


def main() -> None:
    """Sync 200 fictitious companies and draw three charts of them."""
    with tempfile.TemporaryDirectory() as folder, xa.Sandbox(companies=200, seed=7) as sandbox:
        store = xa.Store(Path(folder) / "store")
        with xa.XRayClient(sandbox.settings()) as client:
            xa.sync(client, store)
        snapshot = store.snapshot()
        reports, monthly = snapshot.read("reports"), snapshot.read("monthly_summaries")
        months = xa.cashflow.portfolio_months(xa.cashflow.monthly_flows(monthly, reports))
        classes = xa.portfolio.class_distribution(reports, product="bank")
        trend = xa.portfolio.class_over_time(reports, product="bank", freq="quarter")
        for name, axes in {
            "classes": xa.charts.plot_class_distribution(classes, title="Bank risk class (fictitious companies)"),
            "stock": xa.charts.plot_class_over_time(trend, title="Bank risk class: stock (fictitious companies)"),
            "months": xa.charts.plot_portfolio_months(months, title="Credits and debits (fictitious companies)"),
        }.items():
            canvas.to_png(axes, HERE / f"{name}.png", dpi=70)


if __name__ == "__main__":
    main()
