"""UI: the page, the web process and the command line. Puts the other packages together.

cli         `provenant` (cli_corpus, cli_answers, cli_releases, cli_system, terminal)
web         FastAPI: page, API, health, metrics     serving   the web process
page, chat, evidence, markup, session, progress     the Gradio page
desk, service_desk                                  what the page needs, and where it comes from
installation, answering                             what commands are made of
"""
