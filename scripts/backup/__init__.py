"""`farwatch backup`: recovery folder, results, zones and rules, copied while the flow runs."""
