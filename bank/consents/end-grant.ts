import { sql, type Transaction } from '@bankside/service-kit/postgres'

/** Ends a grant, and with it every refresh token and code: the access tokens that are out stop at their next use. */
export async function endGrant(tx: Transaction, { grantId, now }: { readonly grantId: string; readonly now: Date }): Promise<void> {
  await tx.query(sql.unsafe`select consents.end_grant(${grantId}, ${sql.timestamp(now)})`)
}
