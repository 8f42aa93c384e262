-- What the register of a directory says of the organisations whose software is registered here (CERT-08). The worker asks, and
-- says what was answered; who may no longer act is withdrawn, whatever the bank itself thinks of them.
create table clients.register_entry (
  -- `iss` of the directory's statements, and what it calls the organisation.
  directory        text not null,
  organisation_id  text not null,
  -- Of the last answer; none before the first.
  status           text,
  roles            text[],
  answered_at      timestamptz,
  created_at       timestamptz not null,
  next_ask_at      timestamptz not null,
  last_error       text,
  constraint register_entry_is_one_per_organisation primary key (directory, organisation_id),
  constraint register_entry_status_is_known check (status in ('active', 'withdrawn')),
  constraint register_entry_is_answered check ((status is null) = (answered_at is null)),
  constraint register_entry_error_is_short check (length(last_error) <= 200)
);
create index register_entry_due on clients.register_entry (next_ask_at);

alter table clients.client
  add column organisation_id text generated always as (metadata -> 'organisation' ->> 'id') stored,
  -- Since when the register has its organisation as one that may not act.
  add column withdrawn_at timestamptz,
  -- For what its organisation is licensed, as its register says; none where no register was asked.
  add column licensed_roles text[];
alter table clients.client drop constraint client_status_is_known;
alter table clients.client
  add constraint client_status_is_known check (status in ('active', 'blocked', 'deleted', 'withdrawn')),
  add constraint client_withdrawn_does_not_act check (withdrawn_at is null or status <> 'active'),
  add constraint client_is_withdrawn_by_a_register check (status <> 'withdrawn' or withdrawn_at is not null);
create index client_of_organisation on clients.client (organisation_id) where organisation_id is not null;
create index client_withdrawn on clients.client (client_id) where withdrawn_at is not null;

insert into clients.register_entry (directory, organisation_id, created_at, next_ask_at)
select distinct on (r.software_issuer, c.organisation_id) r.software_issuer, c.organisation_id, r.registered_at, r.registered_at
from clients.registration r join clients.client c on c.client_id = r.client_id
where r.deleted_at is null and r.software_issuer is not null and c.organisation_id is not null
order by r.software_issuer, c.organisation_id, r.registered_at;

-- Says what was answered, for the organisation and for each of its clients; answers those for whom that is new. A client that the
-- bank blocked stays blocked, one that is gone stays gone.
create function clients.apply_register_entry(
  p_directory text, p_organisation_id text, p_active boolean, p_roles text[], p_now timestamptz, p_next timestamptz
) returns table (changed_client_id text, changed_from text, changed_to text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  held record;
  becomes text;
begin
  update clients.register_entry set
    status = case when p_active then 'active' else 'withdrawn' end, roles = p_roles, answered_at = p_now, next_ask_at = p_next, last_error = null
  where directory = p_directory and organisation_id = p_organisation_id and (answered_at is null or answered_at <= p_now);
  if not found then
    return;
  end if;
  for held in
    select c.client_id, c.status, c.withdrawn_at, c.licensed_roles from clients.client c join clients.registration r on r.client_id = c.client_id
    where c.organisation_id = p_organisation_id and r.software_issuer = p_directory and r.deleted_at is null and not c.first_party
    order by c.client_id for no key update of c
  loop
    becomes := case when p_active and held.status = 'withdrawn' then 'active' when not p_active and held.status = 'active' then 'withdrawn' else held.status end;
    if becomes <> held.status or (held.withdrawn_at is null) <> p_active or held.licensed_roles is distinct from p_roles then
      update clients.client set
        status = becomes, withdrawn_at = case when p_active then null else coalesce(withdrawn_at, p_now) end, licensed_roles = p_roles, updated_at = p_now
      where client_id = held.client_id;
      changed_client_id := held.client_id;
      changed_from := case when held.withdrawn_at is null then 'active' else 'withdrawn' end;
      changed_to := case when p_active then 'active' else 'withdrawn' end;
      return next;
    end if;
  end loop;
end $$;
revoke execute on function clients.apply_register_entry from public;
grant execute on function clients.apply_register_entry to bankside_worker;

grant select on clients.register_entry to bankside_worker, bankside_auth_server;
grant update (next_ask_at, last_error) on clients.register_entry to bankside_worker;
-- Who registers has its register asked at once.
grant insert (directory, organisation_id, created_at, next_ask_at), update (next_ask_at) on clients.register_entry to bankside_auth_server;
grant select (client_id, software_issuer, deleted_at) on clients.registration to bankside_worker;
grant select (organisation_id, withdrawn_at) on clients.client to bankside_worker;
grant select (client_id) on oidc.grant to bankside_worker;
grant select (licensed_roles) on clients.client to bankside_resource_api;
