import { lodgeAccountAccessConsent } from '@bankside/bank/consents/lodge-account-access-consent'
import { lodgeDomesticPaymentConsent } from '@bankside/bank/consents/lodge-domestic-payment-consent'
import { createCustomer } from '@bankside/bank/customers/create-customer'
import { hashPassword } from '@bankside/bank/customers/passwords'
import { newTotpSecret, totpCode } from '@bankside/bank/customers/totp'
import { type AccountId, type ConsentId, type CustomerId, newAccountId } from '@bankside/bank/ids'
import { openAccount } from '@bankside/bank/ledger/open-account'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import type { TestServer } from './test-server.ts'

export type TestCustomer = {
  readonly customerId: CustomerId
  readonly username: string
  readonly password: string
  readonly totpSecret: string
  readonly accounts: readonly AccountId[]
}

const password = 'correct horse battery'
let passwordHash: Promise<string> | undefined
let accountNumber = 10_000_000

/** A customer with two current accounts in pounds and one in euros. */
export async function enterCustomer(server: TestServer, username: string): Promise<TestCustomer> {
  const now = new Date()
  passwordHash ??= hashPassword(password)
  const hash = await passwordHash
  const totpSecret = newTotpSecret()
  return transact(server.owner, async (tx) => {
    const customerId = await createCustomer(tx, {
      ...{
        username,
        passwordHash: hash,
        totpSecret,
        fullName: `Full ${username}`,
        email: `${username}@example.com`,
        phone: '+44 7700 900123',
      },
      dataKey: server.dataKey,
      now,
    })
    const accounts: AccountId[] = []
    for (const [nickname, currency] of [
      ['Everyday', 'GBP'],
      ['Bills', 'GBP'],
      ['Holidays', 'EUR'],
    ] as const) {
      const accountId = newAccountId()
      accountNumber += 1
      await openAccount(tx, {
        ...{ accountId, customerId, kind: 'customer', currency, nickname, holderName: `Full ${username}`, typeCode: 'CACC' },
        ...{ sortCode: '401234', accountNumber: String(accountNumber), overdraftMinor: 100_000n, now },
      })
      accounts.push(accountId)
    }
    return { customerId, username, password, totpSecret, accounts }
  })
}

/** The code of a time that no test used before: each code is accepted once. */
export async function freshCode(server: TestServer, customer: TestCustomer): Promise<string> {
  const used = await server.owner.any(sql.type(z.object({ step: z.bigint() }))`
    select step from customers.totp_step_used where customer_id = ${customer.customerId}`)
  const steps = new Set(used.map(({ step }) => Number(step)))
  const current = Math.floor(Date.now() / 30_000)
  const free = [current, current + 1, current - 1].find((step) => !steps.has(step))
  if (free !== undefined) return totpCode(customer.totpSecret, new Date(free * 30_000 + 1_000))
  // A step that was accepted long ago stays used in production; a test cannot wait for the next one.
  await server.owner.query(sql.unsafe`delete from customers.totp_step_used where customer_id = ${customer.customerId}`)
  return totpCode(customer.totpSecret, new Date())
}

export async function lodgeAccounts(server: TestServer, clientId: string, expiresAt?: Date): Promise<ConsentId> {
  const permissions = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
  const consent = await transact(server.owner, (tx) =>
    lodgeAccountAccessConsent(tx, {
      clientId,
      request: { Data: { Permissions: permissions } },
      permissions,
      ...(expiresAt && { expiresAt }),
      now: new Date(),
    }),
  )
  return consent.id
}

export async function lodgePayment(
  server: TestServer,
  clientId: string,
  { minor = 16_588n, refundAccount = false }: { minor?: bigint; refundAccount?: boolean } = {},
): Promise<ConsentId> {
  const consent = await transact(server.owner, (tx) =>
    lodgeDomesticPaymentConsent(tx, {
      clientId,
      request: { Data: { ReadRefundAccount: refundAccount ? 'Yes' : 'No', Initiation: {} } },
      amount: { minor, currency: 'GBP' },
      creditor: { name: 'ACME Inc', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000555555555' },
      reference: 'Invoice 7',
      now: new Date(),
    }),
  )
  return consent.id
}

export type ConsentRow = z.infer<typeof consentRow>
const consentRow = z.object({
  status: z.string(),
  status_reason_code: z.string().nullable(),
  grant_id: z.string().nullable(),
  customer_id: z.string().nullable(),
})

export const readConsent = (server: TestServer, consentId: string): Promise<ConsentRow> =>
  server.owner.one(sql.type(consentRow)`
    select status, status_reason_code, grant_id, customer_id from consents.consent where consent_id = ${consentId}`)
