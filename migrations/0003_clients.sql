-- Registered third parties and first-party apps. metadata is the RFC 7591 document that oidc-provider reads.
create table clients.client (
  client_id     text primary key,
  profile       text not null,
  name          text not null,
  first_party   boolean not null,
  metadata      jsonb not null,
  status        text not null,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  constraint client_id_is_not_a_subject check (client_id ~ '^[A-Za-z0-9._-]{4,64}$' and client_id !~ '^cus_'),
  constraint client_profile_is_known check (profile in ('fapi2_sp')),
  constraint client_status_is_known check (status in ('active', 'blocked'))
);
