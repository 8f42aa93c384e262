import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type Client, clientRow, toClient } from './client.ts'

/** A client as the bank's engineers look at it. */
export type ListedClient = Omit<Client, 'metadata'> & {
  readonly registeredBy: 'bank' | 'statement' | 'token'
  readonly createdAt: Date
  /** When the certificate ends that lasts longest of those it came with; undefined for one that never came with any. */
  readonly certificateUntil: Date | undefined
}

/** The latest ones: nobody reads further. */
export const listedClientsLimit = 500

const listedRow = clientRow
  .omit({ metadata: true })
  .extend({ registered_by: z.enum(['bank', 'statement', 'token']), created_at: z.date(), certificate_until: z.date().nullable() })

/** @param named A part of the id or the name, whatever its case. Without one, all that there are. */
export async function listClients(tx: Transaction, named = ''): Promise<readonly ListedClient[]> {
  const rows = await tx.any(sql.type(listedRow)`
    select c.client_id, c.profile, c.name, c.first_party, c.status, c.created_at,
      case when r.client_id is null then 'bank' when r.software_id is null then 'token' else 'statement' end as registered_by,
      (select max(n.expires_at) from clients.certificate n where n.client_id = c.client_id) as certificate_until
    from clients.client c left join clients.registration r on r.client_id = c.client_id
    where strpos(lower(c.client_id || ' ' || c.name), lower(${named})) > 0
    order by c.created_at desc, c.client_id limit ${listedClientsLimit}`)
  return rows.map((row) => {
    const { metadata: _none, ...client } = toClient({ ...row, metadata: {} })
    const certificateUntil = row.certificate_until ?? undefined
    return { ...client, registeredBy: row.registered_by, createdAt: row.created_at, certificateUntil }
  })
}
