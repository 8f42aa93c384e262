-- A document that nobody has got again for a week serves nobody: the worker drops it.
grant select (url, fetched_at), delete on clients.remote_document to bankside_worker;
create index remote_document_age on clients.remote_document (fetched_at);
