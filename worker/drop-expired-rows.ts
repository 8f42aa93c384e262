import { eachByItself, type RoundOptions } from '@bankside/service-kit/each-by-itself'
import { type Database, sql, transact } from '@bankside/service-kit/postgres'

const hourMs = 60 * 60 * 1000
const dayMs = 24 * hourMs

/** Rows that serve nobody any more. Clocks of machines differ: each is kept a little beyond its time. */
const expiring: readonly Expiring[] = [
  ...[
    ['session', 'id_hash'],
    ['interaction', 'id_hash'],
    ['pushed_authorization_request', 'id_hash'],
    ['authorization_code', 'id_hash'],
    ['refresh_token', 'id_hash'],
    ['used_identifier', 'id_hash'],
    ['grant', 'grant_id'],
    ['journey', 'journey_hash'],
    ['backchannel_notification', 'request_id'],
  ].map(([table = '', key = '']) => ({ table: ['oidc', table], key, time: 'expires_at', keptMs: hourMs })),
  // Longer than a key set serves on while its address is down.
  { table: ['clients', 'remote_document'], key: 'url', time: 'fetched_at', keptMs: 8 * dayMs },
  // Long enough to see what a client came with.
  { table: ['clients', 'certificate'], key: 'ctid', time: 'expires_at', keptMs: 90 * dayMs },
  { table: ['oidc', 'revoked_token'], key: 'token_hash', time: 'expires_at', keptMs: hourMs },
  // Delivered or given up within hours.
  { table: ['oidc', 'backchannel_logout'], key: 'logout_id', time: 'created_at', keptMs: dayMs },
  // Prompts of the last hour are counted, answered or not.
  { table: ['oidc', 'backchannel_authentication_request'], key: 'id_hash', time: 'expires_at', keptMs: 2 * hourMs },
  { table: ['oidc', 'prompted_customer'], key: 'customer_id', time: 'prompted_at', keptMs: hourMs },
  { table: ['customers', 'session'], key: 'session_hash', time: 'expires_at', keptMs: hourMs },
  { table: ['customers', 'sca_challenge'], key: 'challenge_id', time: 'expires_at', keptMs: dayMs },
  // Longer than any lock: forgetting a count is no way around it.
  { table: ['customers', 'sign_in_attempt'], key: 'username_hash', time: 'updated_at', keptMs: dayMs },
  { table: ['customers', 'totp_step_used'], key: 'ctid', time: 'used_at', keptMs: dayMs },
]

type Expiring = {
  readonly table: readonly string[]
  readonly key: string
  readonly time: string
  readonly keptMs: number
}

/**
 * Drops at most `limit` rows of each table, the oldest first, each table in a transaction of its own.
 *
 * @returns how many were dropped.
 */
export async function dropExpiredRows(database: Database, { now, limit, onFault }: RoundOptions<string>): Promise<number> {
  const drop = async ({ table, key, time, keptMs }: Expiring) => {
    const before = sql.timestamp(new Date(now.getTime() - keptMs))
    const [name, column, age] = [sql.identifier([...table]), sql.identifier([key]), sql.identifier([time])]
    const { rowCount } = await transact(database, (tx) =>
      tx.query(sql.unsafe`
        delete from ${name} where ${column} in (select ${column} from ${name} where ${age} < ${before} order by ${age} limit ${limit})`),
    )
    return rowCount
  }
  return eachByItself(expiring, drop, onFault && ((error, { table }) => onFault(error, table.join('.'))))
}
