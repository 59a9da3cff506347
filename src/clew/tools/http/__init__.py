"""HTTP for tools: which addresses may be reached, and one exchange over a connection to exactly the address that was checked.

Belongs here: what every tool needs that speaks HTTP. A library would resolve the name again by itself, after the check.
Never here: what a service's answers mean (its tool knows), cookies, proxies, anything kept between two calls.
"""
