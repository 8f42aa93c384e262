-- What only gives funds back has no entry, and nor has what is of no kind. Nobody of ours says of these that they post something, and who would was believed: money
-- moved that is in no entry, and so under no seal. Everything else of the function stays.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_books to %I', current_user); end if;
end $$;

do $$
declare
  was constant text := $was$
  if leg <= leg_count then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
$was$;
  definition text := pg_get_functiondef('ledger.write'::regproc);
begin
  if strpos(definition, was) = 0 then raise exception 'ledger.write is not as it is known here'; end if;
  execute replace(definition, was, was || $is$  if (released is not null or array_position(p_operation_kind, null) is not null
      or cardinality(p_operation_kind) is distinct from cardinality(p_operation_movement))
    and exists (
      select from unnest(p_leg_operation, numbered) l (operation, number)
      where l.number is not null and (p_operation_kind[l.operation] in ('release', 'expire')) is not false) then
    perform ledger.raise_unsound('posting_belongs_to_an_entry', 'posting');
  end if;
$is$);
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_books from %I', current_user); end if;
end $$;
