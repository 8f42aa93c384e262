import { sql, type Transaction, z } from '@bankside/service-kit/postgres'

/** What somebody else's address answered when it was last asked with success: a key set, a revocation list. */
export type RemoteDocument = { readonly body: Buffer; readonly fetchedAt: Date }

/** What a responder said of a certificate is kept under this name. */
export const ocspDocument = (fingerprint: string): string => `ocsp:${fingerprint}`

const remoteDocumentRow = z.object({ body: z.instanceof(Buffer), fetched_at: z.date() })

export async function findRemoteDocument(tx: Transaction, url: string): Promise<RemoteDocument | undefined> {
  const row = await tx.maybeOne(sql.type(remoteDocumentRow)`select body, fetched_at from clients.remote_document where url = ${url}`)
  return row === null ? undefined : { body: row.body, fetchedAt: row.fetched_at }
}

/** Keeps the newest, whichever process got it. */
export async function keepRemoteDocument(tx: Transaction, url: string, { body, fetchedAt }: RemoteDocument): Promise<void> {
  await tx.query(sql.unsafe`
    insert into clients.remote_document (url, body, fetched_at) values (${url}, ${sql.binary(body)}, ${sql.timestamp(fetchedAt)})
    on conflict (url) do update set body = excluded.body, fetched_at = excluded.fetched_at
    where remote_document.fetched_at < excluded.fetched_at`)
}
