import { type Database, outsideTransaction, reading, sql, z } from '@bankside/service-kit/postgres'
import { sealingKeyId } from '@bankside/service-kit/seal'
import { sealTotpSecret, unsealTotpSecret } from './totp.ts'

const customersAtOnce = 200

const sealedRow = z.object({ customer_id: z.templateLiteral(['cus_', z.string()]), totp_secret_sealed: z.instanceof(Buffer) })
type SealedRow = z.infer<typeof sealedRow>

export type Resealed = {
  readonly sealed: number
  /** How many no key opens: those customers cannot answer a second factor. */
  readonly unopened: number
}

/**
 * Seals with the newest key what an older one sealed, so that the older one can go. Several processes may do so at once.
 *
 * @param dataKeys The one that seals, then those that it replaced.
 */
export async function resealTotpSecrets(database: Database, dataKeys: readonly Uint8Array[]): Promise<Resealed> {
  const [newest, ...older] = dataKeys
  if (newest === undefined) throw new Error('there is no key that seals')
  // A key is told by one byte. Where another one has the same, each secret is tried.
  const tellsApart = older.every((key) => sealingKeyId(key) !== sealingKeyId(newest))
  let [sealed, unopened, after] = [0, 0, '']
  for (;;) {
    const page = await reading(
      database.any(sql.type(sealedRow)`
        select customer_id, totp_secret_sealed from customers.customer
        where customer_id > ${after} and (get_byte(totp_secret_sealed, 0) <> ${sealingKeyId(newest)} or ${!tellsApart})
        order by customer_id limit ${customersAtOnce}`),
    )
    const opened = page.flatMap((row) => resealedRow(row, dataKeys) ?? [])
    unopened += opened.filter(({ after }) => after === undefined).length
    sealed += await write(database, opened)
    if (page.length < customersAtOnce) return { sealed, unopened }
    after = page.at(-1)?.customer_id ?? ''
  }
}

type Change = { readonly row: SealedRow; readonly after: Buffer | undefined }

/** Undefined for one that the newest key sealed, `after` undefined for one that none of them did. */
function resealedRow(row: SealedRow, [newest, ...older]: readonly Uint8Array[]): Change | undefined {
  const { customer_id: customerId, totp_secret_sealed: before } = row
  if (newest === undefined || opens([newest], row) !== undefined) return undefined
  const secret = opens(older, row)
  if (secret === undefined) return { row, after: undefined }
  return { row: { customer_id: customerId, totp_secret_sealed: before }, after: sealTotpSecret(newest, customerId, secret) }
}

function opens(keys: readonly Uint8Array[], { customer_id, totp_secret_sealed }: SealedRow): string | undefined {
  try {
    return unsealTotpSecret(keys, customer_id, totp_secret_sealed)
  } catch {
    return undefined
  }
}

async function write(database: Database, changes: readonly Change[]): Promise<number> {
  const known = changes.flatMap(({ row, after }) => (after === undefined ? [] : [{ row, after }]))
  if (known.length === 0) return 0
  const { count } = await outsideTransaction(database, (tx) =>
    tx.one(sql.type(z.object({ count: z.bigint() }))`
      select customers.reseal_totp_secrets(
        ${sql.array(
          known.map(({ row }) => row.customer_id),
          'text',
        )},
        ${sql.array(
          known.map(({ row }) => row.totp_secret_sealed),
          'bytea',
        )},
        ${sql.array(
          known.map(({ after }) => after),
          'bytea',
        )}) as count`),
  )
  return Number(count)
}
