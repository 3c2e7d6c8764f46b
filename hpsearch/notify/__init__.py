"""What a webhook is told of a sweep while it runs. The sweep does not wait for it.

address.py    the webhook's URL: from the environment, checked, and never shown
slack.py      text of others as Slack shows it letter by letter
messages.py   what there is to tell, folded from a sweep's history as it grows
webhook.py    sends messages from a thread of its own: retries, limits
notifier.py   the three together, beside a sweep
"""
