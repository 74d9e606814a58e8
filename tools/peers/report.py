"""Figures, ratios and the Markdown tables. Standard library only."""
import statistics

import workloads

ACCEPTED_DIFFERENCE = 1e-3  # of a hidden state or logit from the double precision ones; bfloat16 would be above 1e-2


def summary(rounds, higher_is_better):
    """Best and median of the rounds' figures."""
    best = max if higher_is_better else min
    return {"best": best(rounds), "median": statistics.median(rounds), "rounds": rounds}


def ratios(figures, higher_is_better):
    """oberta's figures over each peer's, and oberta's lead: the same, or its inverse where less is better."""
    own, answer = figures.get("oberta", {}), {}
    for name, peer in figures.items():
        if name == "oberta" or "best" not in own or "best" not in peer:
            continue
        quotients = {key: own[key] / peer[key] for key in ("best", "median")}
        leads = quotients if higher_is_better else {key: 1 / quotient for key, quotient in quotients.items()}
        answer[name] = {"oberta_over_peer": quotients, "lead": leads}
    return answer


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figure_cell(figure):
    return f"{number(figure['best'])} ({number(figure['median'])})" if "best" in figure else "-"


def lead_cell(ratio):
    return f"{ratio['lead']['best']:.2f} ({ratio['lead']['median']:.2f})" if ratio else "-"


def check_cell(check):
    if "max_abs" not in check:
        return "-"
    return f"{check['max_abs']:.1e}" + ("" if check["max_abs"] <= ACCEPTED_DIFFERENCE else " **differs**")


def table(header, rows):
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures_table(results):
    names, rows = results["participants"], []
    for name, measured in results["measures"].items():
        arrow = "more is better" if measured["higher_is_better"] else "less is better"
        rows.append([f"{name}, {measured['unit']}, {arrow}"]
                    + [figure_cell(measured["figures"].get(participant, {})) for participant in names])
    return table(["workload", *names], rows)


def leads_table(results):
    peers = [name for name in results["participants"] if name != "oberta"]
    rows = [[name] + [lead_cell(measured["ratios"].get(peer)) for peer in peers]
            for name, measured in results["measures"].items()]
    return table(["workload", *peers], rows)


def checks_table(results):
    names = results["participants"]
    rows = [[name] + [check_cell(checked.get(participant, {})) for participant in names]
            for name, checked in results["checks"].items()]
    return table(["largest difference", *names], rows)


def reasons(results):
    """Why there is a '-', each reason once."""
    found = {}
    for group in [measured["figures"] for measured in results["measures"].values()] + list(results["checks"].values()):
        for name, entry in group.items():
            if "error" in entry:
                found[f"- {name}: {entry['error']}"] = None
    return "\n".join(found)


def versions_line(results):
    versions = results["versions"]
    oberta = versions["oberta"]
    parts = [f"{oberta['version'] or 'oberta (not built)'}, tree {oberta['commit']}"]
    parts += [f"{name} {versions['packages'][name]}" for name in versions["shown"] if name in versions["packages"]]
    return ", ".join(parts)


def oberta_line(results):
    """The device and its roof as `oberta bench` told them, if it ran."""
    told = results.get("oberta_report") or {}
    device, roof = told.get("device") or {}, told.get("roof") or {}
    if not device:
        return ""
    text = f"oberta's device: {device.get('name', device)}"
    if roof.get("gflops"):
        text += f"; roof in the same run {roof['gflops']:.0f} GFLOPS, {roof.get('gbytes_per_s') or 0:.0f} GB/s"
    return text + ".\n\n"


def rounds_line(results):
    """How many rounds there were, and of what --minutes left fewer."""
    wanted, short = results["settings"]["rounds"], []
    for name, entry in results["measures"].items():
        done = [len(figure["rounds"]) for figure in entry["figures"].values() if "rounds" in figure]
        if done and max(done) < wanted:
            short.append(f"{name} {max(done)}")
    return f"{wanted} rounds in turns" + (f" (for want of time {', '.join(short)})" if short else "")


def markdown(results):
    machine, settings = results["machine"], results["settings"]
    sections = [
        "# oberta and its peers",
        f"{results['date']}, {machine['cpu']}, {machine['cores']} cores ({', '.join(machine['extensions'])}), "
        f"{machine['memory_gib']} GiB, {settings['threads']} threads, float32. {versions_line(results)}.",
        f"Model: {results['model']}. {rounds_line(results)}, every figure in its own process; the best "
        "round, in brackets the median. '-' is explained below.",
        oberta_line(results) + figures_table(results),
        "## oberta's lead\n\nHow many times as fast, or as small, as the peer: above 1 oberta is ahead.\n\n"
        + leads_table(results),
        "## Do they compute the same?\n\nLargest absolute difference from PyTorch in double precision, of hidden states, "
        "and of fill-mask's logits at the masks.\n\n" + checks_table(results),
    ]
    why = reasons(results)
    if why:
        sections.append("## Why '-'\n\n" + why)
    return "\n\n".join(sections) + "\n"


def measure_entry(measure, figures):
    return {"workload": measure.workload, "head": measure.head, "unit": measure.unit,
            "higher_is_better": measure.higher_is_better, "figures": figures,
            "ratios": ratios(figures, measure.higher_is_better)}


def names_of_measures():
    return [measure.name for measure in workloads.MEASURES]
