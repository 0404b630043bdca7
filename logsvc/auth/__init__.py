"""Who may see the page: login links, sessions, tokens, proxies that vouch for people. docs/login.md tells it whole."""
