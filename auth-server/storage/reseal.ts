import type { Log } from '@bankside/service-kit/log'
import type { Prepared } from '@bankside/service-kit/prepared'
import { sealedPayloads } from './sealed-payloads.ts'
import type { StoredSeals } from './stored-seals.ts'

/** What may outlive the key that sealed it; everything else ends by itself long before. */
const lasting = [
  { model: 'RefreshToken', table: 'refresh_token', key: 'id_hash', before: Buffer.alloc(0) },
  { model: 'Grant', table: 'grant', key: 'grant_id', before: '' },
] as const

const rowsAtOnce = 200

type Row = { readonly key: Buffer | string; readonly payload: string }

/**
 * Seals with the newest key what an older one sealed, so that the older one can end. What neither sealed stays as it is, and
 * is worth nothing. Several processes may do so at once, and whoever writes a row meanwhile has the last word.
 *
 * @returns how many rows were sealed anew.
 */
export async function resealStored(prepared: Prepared, seals: StoredSeals, log: Log): Promise<number> {
  let sealed = 0
  for (const { model, table, key, before } of lasting) {
    const payloads = sealedPayloads(model, seals, log)
    const page = `select ${key} as key, payload from oidc.${table} where ${key} > $1 and left(payload, ${seals.newest.length}) <> $2
      order by ${key} limit ${rowsAtOnce}`
    const replace = `update oidc.${table} set payload = $3 where ${key} = $1 and payload = $2 returning true as replaced`
    let rows: Row[] = []
    for (
      let after: Buffer | string | undefined = before;
      after !== undefined;
      after = rows.length < rowsAtOnce ? undefined : rows.at(-1)?.key
    ) {
      rows = await prepared.query<Row>(`oidc_${table}_to_reseal`, page, [after, seals.newest])
      for (const { key: id, payload } of rows) {
        const opened = payloads.open(id, payload)
        if (opened === undefined) continue
        sealed += (await prepared.query(`oidc_${table}_reseal`, replace, [id, payload, payloads.seal(id, opened)])).length
      }
    }
  }
  if (sealed > 0) log.info({ sealed }, 'sealed anew with the newest key')
  return sealed
}
