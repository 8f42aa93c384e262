import { createHash, randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Pool, PoolClient } from 'pg'
import { type AccessToken, Refused } from './access.ts'

type Initiation = {
  readonly InstructedAmount: { readonly Amount: string; readonly Currency: string }
  readonly CreditorAccount: { readonly Identification: string }
}
export type PaymentBody = { readonly Data: { readonly ConsentId: string; readonly Initiation: Initiation }; readonly Risk: unknown }

/** A transfer as it is usually written: one transaction, a round trip for each step, all of it committed before the answer. */
export async function pay(pool: Pool, access: AccessToken, body: PaymentBody, key: string): Promise<object> {
  if (!access.scopes.has('payments')) throw new Refused(403, 'the scope payments is needed')
  const db = await pool.connect()
  try {
    await db.query('begin')
    const answer = await payIn(db, access, body, key)
    await db.query('commit')
    return answer
  } catch (error) {
    await db.query('rollback')
    throw error
  } finally {
    db.release()
  }
}

async function payIn(db: PoolClient, access: AccessToken, body: PaymentBody, key: string): Promise<object> {
  const { ConsentId, Initiation } = body.Data
  const requestHash = createHash('sha256').update(JSON.stringify(body)).digest('hex')
  const claimed = await db.query(
    'insert into idempotency (client_id, key, request_hash, created_at) values ($1, $2, $3, now()) on conflict do nothing',
    [access.clientId, key, requestHash],
  )
  if (claimed.rowCount === 0) return repeated(db, access.clientId, key, requestHash)
  const debtorId = await lockConsent(db, access, body)
  const creditor = await db.query('select account_id from account where sort_code || account_number = $1', [
    Initiation.CreditorAccount.Identification,
  ])
  const creditorId = creditor.rows[0]?.account_id
  if (creditorId === undefined) throw new Refused(400, 'no such creditor')
  const minor = BigInt(Initiation.InstructedAmount.Amount.replace('.', ''))
  const paymentId = `pay_${randomUUID().replaceAll('-', '')}`
  const entryId = await moveMoney(db, debtorId, creditorId, minor, Initiation.InstructedAmount.Currency)
  await db.query(`insert into payment values ($1, $2, $3, 'posted', $4, $5, $6, $7, $8, now())`, [
    paymentId,
    ConsentId,
    access.clientId,
    debtorId,
    creditorId,
    minor,
    Initiation.InstructedAmount.Currency,
    entryId,
  ])
  await db.query(`update consent set status = 'COND', status_updated_at = now() where consent_id = $1`, [ConsentId])
  await db.query('insert into outbox values ($1, $2, $3, $4, now())', [randomUUID(), 'payment.posted', paymentId, { ConsentId }])
  await db.query('insert into audit_record values ($1, $2, $3, $4, $5, now())', [
    randomUUID(),
    access.clientId,
    'payment.submit',
    paymentId,
    { ConsentId, amount: minor.toString() },
  ])
  const at = new Date().toISOString()
  const answer = {
    Data: { DomesticPaymentId: paymentId, ConsentId, CreationDateTime: at, Status: 'ACSC', StatusUpdateDateTime: at, Initiation },
    Links: {},
    Meta: {},
  }
  await db.query('update idempotency set response = $3 where client_id = $1 and key = $2', [access.clientId, key, answer])
  return answer
}

async function repeated(db: PoolClient, clientId: string, key: string, requestHash: string): Promise<object> {
  const { rows } = await db.query('select request_hash, response from idempotency where client_id = $1 and key = $2', [clientId, key])
  if (rows[0]?.request_hash !== requestHash) throw new Refused(400, 'the idempotency key was used with another body')
  return rows[0].response
}

async function lockConsent(db: PoolClient, access: AccessToken, { Data, Risk }: PaymentBody): Promise<string> {
  const { rows } = await db.query(
    `select consent.grant_id, consent.request, consent.debtor_account_id, consent.status from consent join client using (client_id)
     where consent_id = $1 and consent.client_id = $2 and client.status = 'active' for update of consent`,
    [Data.ConsentId, access.clientId],
  )
  const consent = rows[0]
  if (consent === undefined || consent.grant_id !== access.grantId) throw new Refused(403, 'the token is for another consent')
  if (consent.status !== 'AUTH') throw new Refused(400, 'the consent is not authorised')
  if (!isDeepStrictEqual(consent.request.Data.Initiation, Data.Initiation) || !isDeepStrictEqual(consent.request.Risk, Risk))
    throw new Refused(400, 'the payment differs from its consent')
  return consent.debtor_account_id
}

async function moveMoney(db: PoolClient, from: string, to: string, minor: bigint, currency: string): Promise<string> {
  const { rows } = await db.query('select * from account where account_id = any ($1) order by account_id for update', [[from, to]])
  const debtor = rows.find(({ account_id }) => account_id === from)
  const creditor = rows.find(({ account_id }) => account_id === to)
  for (const account of [debtor, creditor])
    if (account?.status !== 'open' || account.currency !== currency) throw new Refused(400, 'an account cannot be used')
  const debtorBalance = BigInt(debtor.balance_minor) - minor
  const creditorBalance = BigInt(creditor.balance_minor) + minor
  if (debtorBalance + BigInt(debtor.overdraft_minor) < 0n) throw new Refused(400, 'insufficient funds')
  const entryId = randomUUID()
  await db.query('update account set balance_minor = $2 where account_id = $1', [from, debtorBalance])
  await db.query('update account set balance_minor = $2 where account_id = $1', [to, creditorBalance])
  await db.query('insert into entry values ($1, $2, $3, now())', [entryId, currency, 'payment'])
  await db.query('insert into posting values ($1, $2, $3, $4, $5, now())', [randomUUID(), entryId, from, -minor, debtorBalance])
  await db.query('insert into posting values ($1, $2, $3, $4, $5, now())', [randomUUID(), entryId, to, minor, creditorBalance])
  return entryId
}
