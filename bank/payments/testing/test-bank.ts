import { randomUUID } from 'node:crypto'
import { type Database, openDatabase, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { createTestDatabase } from '@bankside/service-kit/test-database'
import type { AccessDecision } from '../../access/decide-access.ts'
import { requestKey } from '../../idempotency/claim-key.ts'
import { type AccountId, type ConsentId, type CustomerId, newAccountId, newConsentId, newCustomerId } from '../../ids.ts'
import { openAccount } from '../../ledger/open-account.ts'
import { transfer } from '../../ledger/transfer.ts'
import type { Currency, Money } from '../../money.ts'
import type { Payment } from '../payment.ts'
import type { Initiation, PaymentOrder, Submitted } from '../payment-order.ts'
import { openPaymentSubmitter } from '../payment-submitter.ts'

/** Any moment: tests name their times relative to it. */
export const noon = new Date('2026-03-02T12:00:00.000Z')
export const later = (ms: number): Date => new Date(noon.getTime() + ms)
export const gbp = (minor: number | bigint): Money => ({ minor: BigInt(minor), currency: 'GBP' })

export type TestBank = Awaited<ReturnType<typeof openTestBank>>

/**
 * A bank of its own for a test file: one client, the bank's own accounts in pounds and euros, and no customers yet. Payments take every step
 * by itself, unless `straightThrough` is said.
 */
export async function openTestBank({ maxConnections = 10, straightThrough: atFirst = false } = {}) {
  const urls = await createTestDatabase()
  const owner = await openDatabase(urls.ownerUrl, { maxConnections })
  const resourceApi = await openDatabase(urls.resourceApiUrl, { maxConnections })
  const worker = await openDatabase(urls.workerUrl, { maxConnections })
  const own: Record<'equity' | 'settlement', Partial<Record<Currency, AccountId>>> = { equity: {}, settlement: {} }
  const straightThrough = (on: boolean) => owner.query(sql.unsafe`update payments.straight_through set is_on = ${on}`)
  await straightThrough(atFirst)
  for (const client of ['third-party', 'other-party'])
    await owner.query(sql.unsafe`
      insert into clients.client values (${client}, 'fapi2_sp', 'Third party', false, '{}', 'active', ${sql.timestamp(noon)}, ${sql.timestamp(noon)})`)
  for (const kind of ['equity', 'settlement'] as const)
    for (const currency of ['GBP', 'EUR'] as const) {
      const accountId = newAccountId()
      own[kind][currency] = accountId
      await transact(owner, (tx) =>
        openAccount(tx, {
          accountId,
          customerId: null,
          kind,
          currency,
          nickname: kind,
          holderName: 'Bankside',
          typeCode: 'OTHR',
          now: noon,
        }),
      )
    }
  const bank = { owner, resourceApi, worker, urls, own }
  const clock = { at: noon, now: () => clock.at }
  const payments = openPaymentSubmitter(urls.resourceApiUrl, { clock })
  const keyOf = ({ access: { clientId }, consentId, initiation }: TestConsent, key: string, request: unknown = { consentId, initiation }) =>
    requestKey({ clientId, method: 'POST', endpoint: '/payments', key, request })
  /** Under a key of its own, where none is given. */
  const submitKeyed = (
    consent: TestConsent,
    { now = noon, key = randomUUID(), request, ...changed }: SubmitOptions = {},
  ): Promise<Submitted> => {
    clock.at = now
    const order = { ...consent, channel: 'uk_v4', interactionId: 'interaction', ...changed, key: keyOf(consent, key, request) }
    return payments.submit(order as PaymentOrder)
  }
  return {
    ...{ ...bank, payments, keyOf, submitKeyed, straightThrough },
    submit: async (consent: TestConsent, change: SubmitOptions = {}): Promise<Payment> => {
      const submitted = await submitKeyed(consent, change)
      if ('replayed' in submitted) throw new Error(`${submitted.replayed} was made before`)
      return submitted.made
    },
    newCustomer: () => newCustomer(owner),
    newAccount: (options: AccountOptions = {}) => newAccount(bank, options),
    newConsent: (options: ConsentOptions) => newConsent(owner, options),
    close: async () => {
      await Promise.all([owner.end(), resourceApi.end(), worker.end(), payments.close()])
      await urls.drop()
    },
  }
}

type SubmitOptions = Partial<Initiation> & {
  readonly consentId?: string
  readonly key?: string
  /** What the key is claimed for. */
  readonly request?: unknown
  readonly now?: Date
}

type Bank = { readonly owner: Database; readonly own: Record<'equity' | 'settlement', Partial<Record<Currency, AccountId>>> }
let people = 0

async function newCustomer(owner: Database): Promise<CustomerId> {
  const customerId = newCustomerId()
  await owner.query(sql.unsafe`
    insert into customers.customer values (
      ${customerId}, ${`customer-${++people}`}, 'hash', ''::bytea, 'Ann Example', 'ann@example.test', true, '+440000000000', ${sql.timestamp(noon)})`)
  return customerId
}

export type AccountOptions = {
  readonly customerId?: CustomerId
  readonly currency?: 'GBP' | 'EUR'
  readonly funds?: bigint
  readonly overdraftMinor?: bigint
}

async function newAccount({ owner, own }: Bank, options: AccountOptions): Promise<AccountId> {
  const { currency = 'GBP', funds = 0n, overdraftMinor = 0n } = options
  const accountId = newAccountId()
  const customerId = options.customerId ?? (await newCustomer(owner))
  await transact(owner, async (tx) => {
    const number = (++people).toString().padStart(8, '0')
    const identity = {
      nickname: 'Current',
      holderName: 'Ann Example',
      typeCode: 'CACC',
      sortCode: '040404',
      accountNumber: number,
    } as const
    await openAccount(tx, { accountId, customerId, kind: 'customer', currency, overdraftMinor, ...identity, now: noon })
    if (funds > 0n) await fund(tx, { from: own.equity[currency] as AccountId, to: accountId, amount: { minor: funds, currency } })
  })
  return accountId
}

async function fund(tx: Transaction, order: { from: AccountId; to: AccountId; amount: Money }): Promise<void> {
  await transfer(tx, { ...order, kind: 'opening', description: 'Opening balance', reference: 'OPENING', now: noon })
}

export type ConsentOptions = {
  readonly debtorAccountId: AccountId
  readonly creditorAccountId?: AccountId
  readonly creditor?: { readonly name: string; readonly schemeName: string; readonly identification: string }
  readonly amount: Money
  readonly kind?: 'domestic_payment' | 'transfer'
  readonly status?: 'AWAU' | 'AUTH' | 'RJCT' | 'COND'
  readonly clientId?: string
  readonly request?: object
  readonly now?: Date
}

export type TestConsent = {
  readonly consentId: ConsentId
  readonly access: AccessDecision
  readonly initiation: { Initiation: object; Risk: object }
}

/** A payment consent as the customer's answer leaves it, and what a token for it opens. */
async function newConsent(owner: Database, options: ConsentOptions): Promise<TestConsent> {
  const { debtorAccountId, amount, kind = 'domestic_payment', status = 'AUTH', clientId = 'third-party' } = options
  const consentId = newConsentId()
  const creditor = options.creditor ?? {
    name: 'ACME',
    schemeName: 'UK.OBIE.SortCodeAccountNumber',
    identification: await shownNumber(owner, options.creditorAccountId),
  }
  const initiation = {
    Initiation: {
      InstructionIdentification: 'ACME412',
      EndToEndIdentification: 'FRESCO.21302.GFX.20',
      InstructedAmount: { Amount: '10.00', Currency: amount.currency },
      CreditorAccount: { SchemeName: creditor.schemeName, Identification: creditor.identification, Name: creditor.name },
    },
    Risk: { PaymentContextCode: 'BillingGoodsAndServicesInAdvance' },
  }
  const request = options.request ?? { Data: { Initiation: initiation.Initiation }, Risk: initiation.Risk }
  const customerId = (await owner.oneFirst(
    sql.unsafe`select customer_id from ledger.account where account_id = ${debtorAccountId}`,
  )) as CustomerId
  const now = sql.timestamp(options.now ?? noon)
  await owner.query(sql.unsafe`
    insert into consents.consent (
      consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions, amount_minor, currency,
      creditor_name, creditor_scheme_name, creditor_identification, creditor_account_id, debtor_account_id, customer_id, authorised_at, grant_id)
    values (
      ${consentId}, ${clientId}, ${kind}, ${status}, ${now}, ${now}, ${now}, ${JSON.stringify(request)}::jsonb, '{}', ${amount.minor},
      ${amount.currency}, ${creditor.name}, ${creditor.schemeName}, ${creditor.identification}, ${options.creditorAccountId ?? null},
      ${debtorAccountId}, ${customerId}, ${now}, ${`grant-of-${consentId}`})`)
  await owner.query(sql.unsafe`
    insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at)
    values (${`grant-of-${consentId}`}, ${clientId}, ${customerId}, '{}', ${now}, 'infinity')`)
  const access = { clientId, customerId, consentId, accounts: new Set([debtorAccountId]), permissions: new Set(), window: {} }
  return { consentId, access: access as unknown as AccessDecision, initiation }
}

/** The number that a consent shows for an account here. Without one: that of somebody who banks elsewhere. */
async function shownNumber(owner: Database, accountId: AccountId | undefined): Promise<string> {
  const number = await owner.maybeOneFirst(
    sql.type(
      z.object({ number: z.string() }),
    )`select sort_code || account_number as number from ledger.account where account_id = ${accountId ?? null}`,
  )
  return number ?? '20000012345678'
}
