import { expiringSoonMs } from '@bankside/service-kit/expiry'
import { type Database, reading, sql, transact, z } from '@bankside/service-kit/postgres'

/** The certificate of a third party, of which there is none that lasts longer. */
export type ExpiringCertificate = { readonly clientId: string; readonly serialNumber: string; readonly expiresAt: Date }

const expiringRow = z.object({ client_id: z.string(), serial_number: z.string(), expires_at: z.date() })
const toExpiring = (row: z.infer<typeof expiringRow>): ExpiringCertificate => {
  return { clientId: row.client_id, serialNumber: row.serial_number, expiresAt: row.expires_at }
}

/** Of active clients the one that lasts longest: the one before it is being replaced. */
const longest = sql.fragment`(
  select distinct on (n.client_id) n.client_id, n.thumbprint, n.serial_number, n.expires_at, n.warned_at
  from clients.certificate n join clients.client c on c.client_id = n.client_id and c.status = 'active'
  order by n.client_id, n.expires_at desc)`

const isEnding = (now: Date) => sql.fragment`l.expires_at <= ${sql.timestamp(new Date(now.getTime() + expiringSoonMs))}`
const listedAtMost = 1_000

/** Those that end within 30 days, or have ended (CERT-15), soonest first. */
export async function listExpiringCertificates(database: Database, now: Date): Promise<readonly ExpiringCertificate[]> {
  const rows = await reading(
    database.any(sql.type(expiringRow)`
      select l.client_id, l.serial_number, l.expires_at from ${longest} l where ${isEnding(now)}
      order by l.expires_at, l.client_id limit ${listedAtMost}`),
  )
  return rows.map(toExpiring)
}

const warnedAgainMs = 7 * 86_400_000

/** The same, each once a week whoever asks: what somebody has to be told of. */
export async function takeWarnings(database: Database, now: Date): Promise<readonly ExpiringCertificate[]> {
  const time = sql.timestamp(now)
  const since = sql.timestamp(new Date(now.getTime() - warnedAgainMs))
  const rows = await transact(database, (tx) =>
    tx.any(sql.type(expiringRow)`
      update clients.certificate warned set warned_at = ${time} from ${longest} l
      where warned.client_id = l.client_id and warned.thumbprint = l.thumbprint and ${isEnding(now)}
        and (warned.warned_at is null or warned.warned_at <= ${since})
      returning warned.client_id, warned.serial_number, warned.expires_at`),
  )
  return rows.map(toExpiring)
}
