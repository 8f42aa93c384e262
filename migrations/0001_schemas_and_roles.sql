-- One schema per capability, one role per process. The owner of the database runs the migrations; the processes
-- log in as the roles below, whose passwords the operator sets (roles are shared by all databases of a cluster).
do $$
declare
  role_name text;
begin
  -- Two migrations of two databases of one cluster may create the same role at once: whoever comes second is content.
  foreach role_name in array array['bankside_auth_server', 'bankside_resource_api', 'bankside_worker'] loop
    begin
      execute format('create role %I login', role_name);
    exception when duplicate_object or unique_violation then null;
    end;
  end loop;
end $$;

create schema customers;
create schema clients;
create schema ledger;
create schema consents;
create schema payments;
create schema events;
create schema audit;
create schema oidc;

revoke all on schema public from public;
