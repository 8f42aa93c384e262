-- Where nothing is taken up, the arrays say nothing, and what follows from them was neither true nor false: so transfers by themselves were never decided
-- in the few steps that they need. Everything else of the function stays.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_books to %I', current_user); end if;
end $$;

do $$
declare
  was constant text := $was$has_targets boolean := array_remove(p_operation_target, null) <> '{}';$was$;
  definition text := pg_get_functiondef('ledger.write'::regproc);
begin
  if strpos(definition, was) = 0 then raise exception 'ledger.write is not as it is known here'; end if;
  execute replace(definition, was, $is$has_targets boolean := coalesce(array_remove(p_operation_target, null) <> '{}', false);$is$);
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_books from %I', current_user); end if;
end $$;
