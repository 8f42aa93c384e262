-- Several changes in one statement, each of which has something to change or nothing of it happens: whoever asks for them counts
-- the rows, and this refuses the whole when one was missing.
create function events.all_or_nothing(p_done bigint, p_wanted bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if p_done is distinct from p_wanted then
    raise exception '% of % changes were there to be made', p_done, p_wanted
      using errcode = '23514', constraint = 'all_or_nothing', schema = 'events';
  end if;
end $$;
revoke execute on function events.all_or_nothing from public;
grant execute on function events.all_or_nothing to bankside_auth_server;
