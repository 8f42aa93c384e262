-- FAPI 2.0 with and without signed messages, FAPI 1.0 Advanced in both its flows, CIBA; and servers that introspect tokens.
alter table clients.client drop constraint client_profile_is_known;
alter table clients.client add constraint client_profile_is_known
  check (profile in ('fapi2_sp', 'fapi2_ms', 'fapi1_adv_hybrid', 'fapi1_adv_jarm', 'fapi_ciba', 'resource_server'));
