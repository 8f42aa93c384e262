import { randomBytes, randomUUID } from 'node:crypto'
import { lodgeTransferConsent } from '@bankside/bank/consents/lodge-transfer-consent'
import { type AccountId, type CustomerId, newAccountId, newCustomerId } from '@bankside/bank/ids'
import { openAccount } from '@bankside/bank/ledger/open-account'
import { transfer } from '@bankside/bank/ledger/transfer'
import type { Currency } from '@bankside/bank/money'
import { advancePayments } from '@bankside/bank/payments/advance-payments'
import type { Credential } from '@bankside/certs/authority'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import { createTestDatabase } from '@bankside/service-kit/test-database'
import type { Rates } from '../request-limits.ts'
import { type ResourceApiOptions, startResourceApi } from '../resource-api.ts'
import { type Answer, createTestClient, type TestClient } from './test-client.ts'
import { apiOrigin, audiences, issuerUrl, startTestIssuer, type TokenOptions } from './test-issuer.ts'

export type TestWorld = Awaited<ReturnType<typeof startTestWorld>>
export type Answered = { readonly method: string; readonly path: string; readonly answer: Answer }
export type Person = { readonly customerId: CustomerId; readonly name: string; readonly accounts: readonly TestAccount[] }
type StepUp = {
  readonly from: AccountId
  readonly to: string
  readonly amount: string
  readonly words?: string
  readonly currency?: string
}
export type TestAccount = {
  readonly id: AccountId
  readonly currency: Currency
  readonly sortCode: string
  readonly accountNumber: string
  readonly iban: string
}

export const strong = 'urn:openbanking:psd2:sca'

type Replica = NonNullable<ResourceApiOptions['replica']>

/** Tests of anything else never meet a limit. */
const farAway: Rates = { perAddress: 1_000_000, perClient: 1_000_000, perCustomer: 1_000_000, writes: 1_000_000 }

type WorldOptions = { rates?: Rates; replicaOf?: (databaseUrl: string) => Replica; auditKeysFile?: string }

/**
 * The real server over TLS with a real database, in front of a bank with three clients and two customers. What the
 * authorization server would write, a customer's decision, is written here as the owner of the database.
 */
export async function startTestWorld({ rates = farAway, replicaOf, auditKeysFile }: WorldOptions = {}) {
  const database = await createTestDatabase()
  const owner = await openDatabase(database.ownerUrl)
  const worker = await openDatabase(database.workerUrl)
  const issuer = await startTestIssuer()
  const lines: string[] = []
  const clock = { offsetMs: 0, now: () => new Date(Date.now() + clock.offsetMs) }
  const log = createLog({ level: 'info', name: 'resource-api' }, { write: (line: string) => lines.push(line) })
  const options = {
    databaseUrl: database.resourceApiUrl,
    replica: replicaOf?.(database.resourceApiUrl),
    listen: { port: 0, address: '127.0.0.1' },
    certificates: [issuer.serverCertificate],
    clientCa: issuer.ca,
    trustedProxyAddresses: [],
    issuer: { url: issuerUrl, jwksUri: issuer.jwksUri, ca: issuer.ca },
    origin: apiOrigin,
    audiences,
    auditKeysFile,
    rates,
    clock,
    log,
  }
  const answers: Answered[] = []
  const onAnswer = (method: string, path: string, answer: Answer) => void answers.push({ method, path, answer })
  const registry = createMetrics('resource-api')
  const api = await startResourceApi({ ...options, registry })
  const newClient = async (binding: 'dpop' | 'mtls', certificate?: Credential) =>
    createTestClient({
      ...{ port: api.port, ca: issuer.ca, binding, onAnswer },
      certificate: certificate ?? (await issuer.newClientCertificate()),
    })
  const clients = { acorn: await newClient('dpop'), cobalt: await newClient('mtls'), app: await newClient('dpop') }
  const clientIds = new Map<TestClient, string>([
    [clients.acorn, 'acorn-money'],
    [clients.cobalt, 'cobalt-pay'],
    [clients.app, 'bank-app'],
  ])
  const bank = await createTestBank(owner)
  const straightThrough = (on: boolean) => owner.query(sql.unsafe`update payments.straight_through set is_on = ${on}`)
  await straightThrough(true)
  const authorise = async (client: TestClient, consentId: string, person: Person, accounts: readonly AccountId[], scope?: string) => {
    const grantId = await grant(owner, clientIds.get(client) ?? '', person, clock.now())
    await decide(owner, { consentId, grantId, person, accounts, now: clock.now() })
    const kind = await owner.oneFirst(sql.unsafe`select kind from consents.consent where consent_id = ${consentId}`)
    const scopes = { account_access: 'openid accounts', domestic_payment: 'openid payments', transfer: everyScope }
    const audience = kind === 'transfer' ? audiences.bank : audiences.uk
    return tokenFor(client, {
      scope: scope ?? scopes[kind as keyof typeof scopes],
      grantId,
      consentId,
      audience,
      acr: strong,
      authTime: now(),
    })
  }
  const tokenFor = (client: TestClient, token: Omit<TokenOptions, 'clientId' | 'cnf'> & { cnf?: object }) =>
    issuer.mint({ clientId: clientIds.get(client) ?? '', cnf: client.cnf, ...token })

  return {
    ...{ owner, issuer, api, apiOptions: { ...options }, registry, lines, clock, answers, ...clients, ...bank, tokenFor, newClient },
    clientToken: (client: TestClient, scope: string) => tokenFor(client, { scope }),
    /** As the customer leaves it when they have chosen accounts, or confirmed the payment from one. Answers their token. */
    authorise,
    /** The step-up for one transfer, as the pages of the authorization server end it. Answers the token for it. */
    authoriseTransfer: async (person: Person, { from, to, amount, words, currency = 'GBP' }: StepUp) => {
      const detail = {
        type: 'payment_initiation',
        instructedAmount: { amount, currency },
        debtorAccount: { account_id: from },
        creditorAccount: { account_id: to },
        ...(words && { remittanceInformation: words }),
      }
      const consent = await transact(owner, (tx) => lodgeTransferConsent(tx, { clientId: 'bank-app', detail, now: clock.now() }))
      return authorise(clients.app, consent.id, person, [from])
    },
    /** Of a customer who has signed in to the bank's own app. */
    appToken: async (person: Person, { scope = everyScope, authTime = now(), acr = strong } = {}) =>
      tokenFor(clients.app, {
        scope,
        audience: audiences.bank,
        grantId: await grant(owner, 'bank-app', person, clock.now()),
        acr,
        authTime,
      }),
    /** Books on an account, `stepMs` apart, from `from` on: positive in, negative out. */
    book: async (accountId: AccountId, minors: readonly bigint[], from: Date, stepMs = 60_000) => {
      for (const [index, minor] of minors.entries()) await bank.bookOne(accountId, minor, new Date(from.getTime() + index * stepMs), index)
    },
    /** Whether payments that nothing waits for are posted at once, as they are until a test says otherwise. */
    straightThrough,
    finishPayments: () => advancePayments(worker, { now: clock.now(), limit: 100 }),
    close: async () => {
      for (const client of Object.values(clients)) client.close()
      await api.close()
      await Promise.all([owner.end(), worker.end(), issuer.close()])
      await database.drop()
    },
  }
}

export const everyScope = 'openid profile accounts:read transactions:read payments:write beneficiaries:read beneficiaries:write'
const now = () => Math.floor(Date.now() / 1000)

type Owner = Awaited<ReturnType<typeof openDatabase>>

async function createTestBank(owner: Owner) {
  const at = new Date(Date.now() - 86_400_000)
  const time = sql.timestamp(at)
  for (const [clientId, name, firstParty] of [
    ['acorn-money', 'Acorn Money', false],
    ['cobalt-pay', 'Cobalt Pay', false],
    ['bank-app', 'Bankside app', true],
  ] as const)
    await owner.query(
      sql.unsafe`insert into clients.client values (${clientId}, 'fapi2_sp', ${name}, ${firstParty}, '{}', 'active', ${time}, ${time})`,
    )
  const equity: Partial<Record<Currency, AccountId>> = {}
  for (const kind of ['equity', 'settlement'] as const)
    for (const currency of ['GBP', 'EUR'] as const) {
      const accountId = newAccountId()
      if (kind === 'equity') equity[currency] = accountId
      const own = { customerId: null, nickname: kind, holderName: 'Bankside', typeCode: 'OTHR' } as const
      await transact(owner, (tx) => openAccount(tx, { accountId, kind, currency, ...own, now: at }))
    }
  const open = (person: Omit<Person, 'accounts'>, nickname: string, currency: Currency, fundsMinor: bigint) =>
    openFunded(owner, { person, nickname, currency, fundsMinor, equity: equity[currency] as AccountId, at })
  const bookOne = async (accountId: AccountId, minor: bigint, bookedAt: Date, index: number) => {
    const currency = (await owner.oneFirst(sql.unsafe`select currency from ledger.account where account_id = ${accountId}`)) as
      | 'GBP'
      | 'EUR'
    const [from, to] = minor > 0n ? [equity[currency], accountId] : [accountId, equity[currency]]
    const order = { kind: 'transfer', description: `Booking ${index}`, reference: `REF${index}`, now: bookedAt } as const
    await transact(owner, (tx) =>
      transfer(tx, { ...order, from: from as AccountId, to: to as AccountId, amount: { minor: minor > 0n ? minor : -minor, currency } }),
    )
  }
  const ada = await person(owner, 'ada', 'Ada Byron', at)
  const ben = await person(owner, 'ben', 'Ben Nevis', at)
  let newcomers = 0
  return {
    bookOne,
    /** Another customer, with one account. */
    newPerson: async (): Promise<Person> => {
      const carol = await person(owner, `carol-${++newcomers}`, 'Carol Ames', at)
      return { ...carol, accounts: [await open(carol, 'Current', 'GBP', 1_000n)] }
    },
    ada: {
      ...ada,
      accounts: [
        await open(ada, 'Current', 'GBP', 100_000n),
        await open(ada, 'Savings', 'GBP', 500_000n),
        await open(ada, 'Holidays', 'EUR', 20_000n),
      ],
    },
    ben: { ...ben, accounts: [await open(ben, 'Current', 'GBP', 7_500n)] },
  }
}

async function person(owner: Owner, username: string, name: string, at: Date) {
  const customerId = newCustomerId()
  await owner.query(sql.unsafe`
    insert into customers.customer values (
      ${customerId}, ${username}, 'hash', ''::bytea, ${name}, ${`${username}@example.test`}, true, '+44 7700 900123', ${sql.timestamp(at)})`)
  return { customerId, name }
}

let numbers = 10_000_000

type Opening = { person: Omit<Person, 'accounts'>; nickname: string; currency: Currency; fundsMinor: bigint; equity: AccountId; at: Date }

async function openFunded(owner: Owner, { person, nickname, currency, fundsMinor, equity, at }: Opening): Promise<TestAccount> {
  const account = {
    id: newAccountId(),
    currency,
    sortCode: '040404',
    accountNumber: String(++numbers),
    iban: `GB00BANK${randomBytes(7).toString('hex').toUpperCase()}`,
  }
  await transact(owner, async (tx) => {
    const { id: accountId, sortCode, accountNumber, iban } = account
    const identity = { customerId: person.customerId, holderName: person.name, sortCode, accountNumber, iban }
    await openAccount(tx, {
      accountId,
      kind: 'customer',
      currency,
      nickname,
      typeCode: nickname === 'Savings' ? 'SVGS' : 'CACC',
      ...identity,
      now: at,
    })
    const amount = { minor: fundsMinor, currency }
    await transfer(tx, {
      from: equity,
      to: accountId,
      amount,
      kind: 'opening',
      description: 'Opening balance',
      reference: 'OPENING',
      now: at,
    })
  })
  return account
}

async function grant(owner: Owner, clientId: string, { customerId }: Person, at: Date): Promise<string> {
  const grantId = randomUUID()
  const expiresAt = new Date(at.getTime() + 90 * 86_400_000)
  await owner.query(sql.unsafe`
    insert into oidc.grant values (${grantId}, ${clientId}, ${customerId}, '{}', ${sql.timestamp(at)}, null, ${sql.timestamp(expiresAt)})`)
  return grantId
}

type Decision = { consentId: string; grantId: string; person: Person; accounts: readonly AccountId[]; now: Date }

async function decide(owner: Owner, { consentId, grantId, person, accounts, now: at }: Decision): Promise<void> {
  const time = sql.timestamp(at)
  const [debtor = null] = accounts
  await owner.query(sql.unsafe`
    update consents.consent set
      status = 'AUTH', status_updated_at = ${time}, customer_id = ${person.customerId}, authorised_at = ${time}, grant_id = ${grantId},
      debtor_account_id = case when kind = 'account_access' then null else ${debtor} end
    where consent_id = ${consentId}`)
  await owner.query(sql.unsafe`delete from consents.consent_account where consent_id = ${consentId}`)
  for (const accountId of accounts)
    await owner.query(sql.unsafe`
      insert into consents.consent_account select ${consentId}, ${accountId} from consents.consent where consent_id = ${consentId} and kind = 'account_access'`)
}
