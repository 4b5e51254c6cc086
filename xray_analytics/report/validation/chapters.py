"""The chapters of the validation report: first what is concluded, then everything it rests on."""

from __future__ import annotations

from dataclasses import fields

import pandas as pd

from ... import charts
from ...analysis.validation.stability import StabilityIndex
from ...analysis.validation.statistic import Statistic
from ...tables import RISK_CLASSES
from ..document.document import Block, Charts, Document, Glossary, Heading, NamedGrid, Section, Sentences
from ..document.page import FEWEST_FOR_SHARES, Tile, base_sentence
from . import figures
from .cohorts import SEGMENTS, judges_probabilities
from .figures import AREA, P_VALUES, RATES, grid, statistics
from .results import Validation
from .verdicts import HOLDS, NO_VERDICT


def document(results: Validation) -> Document:
    """The report before it has a form."""
    terms = results.terms
    lead = (
        f"Cohort of {results.cohorts.date:%Y-%m-%d}, outcomes over {terms.horizon_months} months known until "
        f"{terms.known_until:%Y-%m-%d}"
    )
    sections = (
        *(chapter(results) for chapter in (_concluded, _ranking, _probabilities, _periods, _stability, _moved)),
        *_segments(results),
        *_concentrated(results),
        *_vintages(results),
        _left_out(results),
        _policy(results),
        Section("Method", (_method(results),)),
    )
    return Document(results.edition, lead, tuple(_tiles(results)), sections)


def _tiles(results: Validation) -> list[Tile]:
    sample, rate, months = results.cohorts.sample, results.rate, results.terms.horizon_months
    n, bad, area = len(sample), results.cohorts.n_defaults, results.answers.ranking
    shown = f"default rate {rate.value:.2%}" if n >= FEWEST_FOR_SHARES else f"{bad} of {n}"
    between = "" if rate.low is None else f" ({rate.low:.2%} to {rate.high:.2%} at {rate.confidence:.0%})"
    judged = sum(row.verdict != NO_VERDICT for row in results.verdicts)
    tiles = [
        Tile("Companies judged", f"{n:,}", f"rated on {results.cohorts.date:%Y-%m-%d}, one observation each"),
        Tile("Defaults", f"{bad:,}", f"of them within {months} months; {shown}{between}"),
    ]
    if isinstance(area, Statistic):
        between = "" if area.low is None else f" ({area.low:.3f} to {area.high:.3f})"
        tiles.append(
            Tile("AUC", f"{area.value:.3f}", f"of the {results.terms.score.replace('_', ' ')}{between}, 0.5 is chance")
        )
    if judges_probabilities(results.terms, results.policy) and sample["default_probability"].notna().any():
        known = sample["default_probability"].dropna()
        said = f"over {months} months as declared; {known.sum():,.1f} defaults were expected"
        tiles.append(Tile("Mean probability", f"{known.mean():.2%}", said))
    else:
        left_out = int(results.exclusions["n_observations"].sum()) - n
        tiles.append(Tile("Left out", f"{left_out:,}", "more companies known on that day; the reasons stand below"))
    policy = f"by the policy “{results.policy.name}”, version {results.policy.version}"
    tiles.append(Tile("Questions judged", f"{judged} of {len(results.verdicts)}", policy))
    tiles.append(Tile("Cohorts", f"{1 + len(results.cohorts.earlier)}", "as-of dates whose whole horizon has passed"))
    return tiles


def _concluded(results: Validation) -> Section:
    heads = {
        "question": "Question",
        "verdict": "Verdict",
        "shown": "Figure",
        "p_value": "p-value",
        "detectable": "Would have been noticed",
        "why": "How",
    }
    refused = [Sentences(f"No verdict: {results.too_few}.")] if results.too_few else []
    how = (
        "Not rejected is no proof of being right: the column before the last says from where on this sample would "
        "probably (four times in five) have shown it."
    )
    table = NamedGrid("Verdicts", grid(results.verdict_table, heads), "Verdicts")
    said = [Sentences(line) for line in _in_short(results)]
    return Section("Was the model right?", (*refused, *said, table, Sentences(how)))


def _in_short(results: Validation) -> list[str]:
    """What holds, what fails, and what this sample could not see."""
    holds = [row.question for row in results.verdicts if row.verdict in HOLDS]
    open_ones = [row.question for row in results.verdicts if row.verdict == NO_VERDICT]
    fails = [f"{row.question} ({row.verdict})" for row in results.verdicts if row.verdict not in (*HOLDS, NO_VERDICT)]
    lines = {
        "Fails": fails, "Nothing shown against it": holds, "This sample could not say": open_ones,
    }  # fmt: skip
    return [f"{head}: {' '.join(questions)}" for head, questions in lines.items() if questions]


def _ranking(results: Validation) -> Section:
    drawn = figures.ranking_figures(results)
    blocks: tuple[Block, ...] = (Charts(drawn),) if drawn else (Sentences(f"Not shown: {results.answers.ranking}."),)
    return Section("Ranking", (*blocks, NamedGrid("Statistics of ranking", statistics(results.ranking), "Ranking")))


def _probabilities(results: Validation) -> Section:
    blocks: list[Block] = [
        Charts({"classes": figures.class_figure(results), **figures.cohort_figure(results)}),
        NamedGrid("Default rates by class", figures.class_table(results)),
    ]
    if results.no_probability:
        blocks.insert(0, Sentences(f"No probabilities are tested: {results.no_probability}."))
        return Section("Default rates", (*blocks, *_grades(results)))
    tests = statistics(
        {"With asset correlation": results.answers.overall, "As if independent": results.answers.independent}
        | results.answers.forecasts
    )
    blocks.append(NamedGrid("Tests of all probabilities", tests, "Tests"))
    repair = statistics({"Shift of the logit that would mend the level": results.details.repair})
    return Section(
        "Probabilities and default rates", (*blocks, *_grades(results), NamedGrid("Repair", repair, "Repair"))
    )


def _grades(results: Validation) -> list[Block]:
    """Whether classes differ from each other, and whether a class is one thing."""
    blocks: list[Block] = []
    if results.details.grades is not None:
        heads = {
            "from_grade": "Class", "to_grade": "Next", "default_rate_ratio": "Rate",
            "to_default_rate_ratio": "Of the next", "test": "Test", "p_value": "p-value",
            "p_value_holm": "p-value, Holm", "verdict": "Verdict",
        }  # fmt: skip
        blocks.append(NamedGrid("Neighbouring classes", grid(results.details.grades, heads), "Neighbours"))
    for kind, table in results.details.mixed.items():
        label = SEGMENTS[kind]
        heads = {
            "risk_class": "Class", kind: label, "n": "Companies", "n_defaults": "Defaults",
            "rest_n": "Rest of the class", "rest_n_defaults": "Its defaults", "p_value": "p-value",
            "p_value_holm": "p-value, Holm", "verdict": "Verdict",
        }  # fmt: skip
        blocks.append(NamedGrid(f"Within a class, by {label.lower()}", grid(table, heads), f"Within {kind}"[:31]))
    return blocks


def _periods(results: Validation) -> Section:
    heads = {"cohort": "Cohort", **RATES, **AREA, "mean_probability": "Mean probability", **P_VALUES}
    table = NamedGrid("Cohorts", grid(results.periods, heads), "Over time")
    history = NamedGrid("History", statistics(results.details.levels), "History")
    if len(results.periods) == 1:
        return Section("Over time", (Sentences("Only one cohort's horizon has passed so far."), table, history))
    note = (
        "Horizons do not overlap, but a company is in several cohorts: the line for all has intervals clustered by "
        "company, and no exact test. An AUC is given from the policy's least number of defaults on."
    )
    if results.details.cycle is None:
        return Section("Over time", (Sentences(note), table, history))
    cycle = {
        "as_of_date": "Cohort", "mean_probability": "Told", "default_rate_ratio": "Came",
        "long_run_ratio": "Mean of all cohorts", "told_less_long_run_ratio": "Told less mean",
    }  # fmt: skip
    told = (
        "A probability that moves with the cohorts' rates is of its point in time; one that stays near their mean is "
        "of the cycle, and then single years miss it."
    )
    shown = NamedGrid("Point in time and cycle", grid(results.details.cycle, cycle), "Cycle")
    return Section("Over time", (Sentences(note), table, history, Sentences(told), shown))


def _stability(results: Validation) -> Section:
    index, blocks = results.answers.intake, list[Block]()
    if isinstance(index, StabilityIndex):
        blocks.append(Charts({"newcomers": figures.newcomer_figure(index, results.edition.as_of)}))
    else:
        blocks.append(Sentences(f"Newcomers are not compared: {index}."))
    shares = {f"class_{c}_ratio": charts.class_label(c) for c in RISK_CLASSES}
    heads = {"as_of_date": "As of", "n_companies": "Companies", **shares, "effective_classes": "Effective classes"}
    note = (
        "The mix of all rated companies on every date, and to how many equal classes that amounts. These are mostly "
        "the same companies, so no benchmark of a PSI holds; who is rated at both ends is tested by Stuart and Maxwell."
    )
    drift = statistics({"Stuart-Maxwell": results.answers.drift})
    blocks += [Heading("Class drift"), Sentences(note), NamedGrid("Class mix", grid(results.mix, heads), "Class mix")]
    piled = statistics({"Concentration of classes, first date to last": results.details.concentration})
    blocks += [NamedGrid("Same companies", drift, "Drift"), NamedGrid("Concentration of classes", piled, "Piled up")]
    return Section("Stability", tuple(blocks))


def _moved(results: Validation) -> Section:
    if results.matrix["n"].sum() == 0:
        return Section("Migration", (Sentences("Nobody was seen over a whole horizon."),))
    named = results.mobility.assign(figure=results.mobility["figure"].str.replace("_", " ").str.capitalize())
    table = grid(named, {"figure": "Figure", "value": "Value (0–1)", "n": "Companies"})
    drawn = Charts({"migration": figures.migration_figure(results)}, 1)
    heads = {
        "from_class": "Class", "to_state": "Nearer move", "against": "Farther move", "z": "z", "p_value": "p-value",
        "p_value_exact": "p-value, exact", "p_value_holm": "p-value, Holm",
    }  # fmt: skip
    cells = results.details.cells
    tested = grid(cells[cells["z"].notna()], heads)
    blocks: list[Block] = [drawn, NamedGrid("Mobility", table, "Mobility"), NamedGrid("Cell tests", tested, "Cells")]
    if results.details.structure is not None:
        years = {
            "from_class": "Class", "years": "Horizons", "default_probability": "In default by then", "low": "From",
            "high": "To", "n": "Companies",
        }  # fmt: skip
        note = "Powers of the matrix: the next move depends on the class alone, and companies are independent."
        rows = results.details.structure
        blocks += [Sentences(note), NamedGrid("Default over several horizons", grid(rows, years), "Term structure")]
    return Section("Migration", tuple(blocks))


def _segments(results: Validation) -> list[Section]:
    blocks: list[Block] = []
    for kind, table in results.segments.items():
        label = SEGMENTS[kind]
        heads = {kind: label, **RATES, **AREA, "mean_probability": "Mean probability", **P_VALUES}
        rows = NamedGrid(label, grid(table, heads), f"By {kind}".replace("_", " "))
        blocks += [Heading(label), rows, Sentences(base_sentence(table, "companies"))]
    if not blocks:
        least = results.policy.min_segment_companies
        blocks.append(
            Sentences(f"Not shown: the lender's register names no two segments of {least:,} companies or more.")
        )
    return [Section("By segment", tuple(blocks))]


def _concentrated(results: Validation) -> list[Section]:
    if results.exposure is None:
        return []
    rows = results.exposure.assign(figure=results.exposure["figure"].str.replace("_", " ").str.capitalize())
    table = grid(rows, {"figure": "Figure", "value": "Value", "unit": "Unit", "n": "Names"})
    note = "Of the amounts drawn on the lender's newest day: default rates count companies, losses count money."
    return [Section("Concentration", (Sentences(note), NamedGrid("Exposure", table, "Concentration")))]


def _vintages(results: Validation) -> list[Section]:
    if results.vintages is None:
        return []
    return [Section("Vintages", (Charts({"vintages": figures.vintage_figure(results.vintages)}),))]


def _left_out(results: Validation) -> Section:
    reasons = results.exclusions["excluded_because"].fillna("used").str.replace("_", " ").str.capitalize()
    heads = {
        "excluded_because": "Observations",
        "n_mature": "Companies",
        "n_defaulted": "Defaults",
        "n_unknown": "Outcome unknown",
        "default_rate_best_ratio": "Rate, if none of these",
        "default_rate_worst_ratio": "Rate, if all of these",
    }
    note = (
        f"Every company known on {results.cohorts.date:%Y-%m-%d}. Those with an unknown outcome (lost to follow-up) "
        "enter no test; the last two columns say how far they could move the rate. Repaid in time is not defaulted."
    )
    table = grid(results.exclusions.assign(excluded_because=reasons), heads)
    return Section("Who was left out", (Sentences(note), NamedGrid("Left out", table, "Left out")))


def _policy(results: Validation) -> Section:
    rows = [
        (f.name.replace("_", " ").capitalize(), str(getattr(results.policy, f.name))) for f in fields(results.policy)
    ]
    frame = pd.DataFrame(rows, columns=pd.Index(["threshold", "setting"]))
    note = "Thresholds are policy, not statistics: they stand in one file, and --policy gives another."
    table = grid(frame, {"threshold": "Threshold", "setting": "Value"})
    return Section("Policy", (Sentences(note), NamedGrid("Policy", table, "Policy")))


def _method(results: Validation) -> Glossary:
    months, clock = results.terms.horizon_months, results.terms.clock
    return Glossary((
        ("Observation", "One company on one day: the newest report known by the end of it, and nothing later. "
         "Companies in default, in probation, without a rated report or with stale data are left out and counted."),
        ("Clock", f"{clock}: what was known when. A report counts 48 hours after its creation."),
        ("Default", f"The lender's own, within {months} months after the day. A cohort counts once its whole horizon "
         "has passed: early defaults show before the others can."),
        ("AUC", "The chance that a company which defaulted scored worse than one which did not; ties one half. "
         "Variance of DeLong (1988); interval on the logit scale, under 100 defaults by Newcombe's and DeLong's "
         "variance at each value, which covers 0.93 and more in simulation. Against the reference one-sided."),
        ("Probabilities", "The horizon of the service's probability is not documented; it is taken as the policy "
         "declares. The test is that of Vasicek's model; beside it Jeffreys' (ECB 2019, 2.5.3.1), for independent "
         "companies."),
        ("Holm", "Of many classes one is unlucky by chance. Adjusted p-values allow for their number; both are shown."),
        ("Noticed from", "The smallest true rate, as a multiple of the probability, that this class would show four "
         "times in five at 5 %. Below it the test is blind."),
        ("Correlation", "In a bad year companies default together. Verdicts on levels, and the interval of the "
         "default rate, allow for one common factor with the policy's correlation of assets: they err at the level or "
         "less under it, where tests for independent companies err at 20 % (1,000 companies, probability 1 %)."),
        ("Both directions", "Probabilities that are too high are a breach as well, unless the policy says otherwise: "
         "each direction is then judged at half the level."),
        ("PSI", "Population stability index; benchmark for this n by Yurdakul and Naranjo (2020), not 0.10; where a "
         "bin expects fewer than 5, by permutation."),
    ))  # fmt: skip
