-- Whether a token is one to register with is asked before anything else is done for whoever presents it; it is used up at the end.
grant select (token_hash, scopes, uses_left, expires_at) on clients.initial_access_token to bankside_auth_server;
