import { randomUUID } from 'node:crypto'
import type { Pool } from 'pg'

export type ConsentToDecide = {
  readonly permissions: readonly string[]
  readonly accounts: readonly {
    readonly account_id: string
    readonly nickname: string
    readonly sort_code: string
    readonly account_number: string
    readonly currency: string
  }[]
}

export async function readConsent(pool: Pool, consentId: string, clientId: string, customerId: string): Promise<ConsentToDecide> {
  const { rows } = await pool.query(`select permissions from consent where consent_id = $1 and client_id = $2 and status = 'AWAU'`, [
    consentId,
    clientId,
  ])
  if (rows[0] === undefined) throw new Error(`consent ${consentId} does not wait for a customer`)
  const accounts = await pool.query(
    `select account_id, nickname, sort_code, account_number, currency from account where customer_id = $1 and status = 'open' order by account_id`,
    [customerId],
  )
  return { permissions: rows[0].permissions, accounts: accounts.rows }
}

export type Decision = {
  readonly consentId: string
  readonly clientId: string
  readonly customerId: string
  readonly grantId: string
  readonly accountIds: readonly string[]
}

/** The consent, its accounts, the event and the audit record in one transaction. */
export async function decideConsent(pool: Pool, { consentId, clientId, customerId, grantId, accountIds }: Decision): Promise<void> {
  const db = await pool.connect()
  try {
    await db.query('begin')
    const { rows } = await db.query('select status from consent where consent_id = $1 and client_id = $2 for update', [consentId, clientId])
    if (rows[0]?.status !== 'AWAU') throw new Error(`consent ${consentId} was decided before`)
    const owned = await db.query('select account_id from account where customer_id = $1 and account_id = any ($2)', [
      customerId,
      accountIds,
    ])
    if (owned.rowCount !== accountIds.length || accountIds.length === 0) throw new Error('an account of somebody else was chosen')
    await db.query(`update consent set status = 'AUTH', status_updated_at = now(), customer_id = $2, grant_id = $3 where consent_id = $1`, [
      consentId,
      customerId,
      grantId,
    ])
    for (const accountId of accountIds) await db.query('insert into consent_account values ($1, $2)', [consentId, accountId])
    await db.query('insert into outbox values ($1, $2, $3, $4, now())', [randomUUID(), 'consent.authorised', consentId, { clientId }])
    await db.query('insert into audit_record values ($1, $2, $3, $4, $5, now())', [
      randomUUID(),
      customerId,
      'consent.authorise',
      consentId,
      { accountIds },
    ])
    await db.query('commit')
  } catch (error) {
    await db.query('rollback')
    throw error
  } finally {
    db.release()
  }
}
