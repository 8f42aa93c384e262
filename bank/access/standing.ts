import { gatheredRows } from '@bankside/service-kit/gathered-rows'
import { sql, type Transaction, withValues } from '@bankside/service-kit/postgres'
import { isInstant, isNumber, isText, isTruth, isWhole, listOf, oneOf, orNull, type RowIn, rowShape } from '@bankside/service-kit/row-shape'
import { type ClientStatus, clientStatuses } from '../clients/client.ts'
import type { ConsentKind, ConsentStatus } from '../consents/consent.ts'
import { isPermission, type Permission } from '../consents/permission.ts'
import { type AccountId, type ConsentId, type CustomerId, isAccountId, isConsentId, isCustomerId } from '../ids.ts'
import { type Currency, isCurrency } from '../money.ts'
import type { TokenClaims } from './decide-access.ts'

/** How everyone behind a token stands at this moment: read, not judged. */
export type Standing = {
  readonly client: ClientStanding | undefined
  /** Taken back by itself. */
  readonly tokenRevoked?: boolean
  readonly grant: { readonly customerId: CustomerId; readonly revokedAt: Date | undefined; readonly expiresAt: Date } | undefined
  readonly consent: ConsentStanding | undefined
  /** Of the customer, not closed, and chosen for the consent if there is one. Where the request names an account, no other is looked for. */
  readonly accounts: ReadonlySet<AccountId>
  /** Of the account that the request names, if it is the customer's: nearly every such request wants it next. */
  readonly named?: AccountFunds | undefined
}

export type ClientStanding = {
  readonly status: ClientStatus
  readonly firstParty: boolean
  /** An `Organisation` as JSON: taken apart only where a certificate is compared with it. */
  readonly organisation?: string | undefined
  /** PSD2 roles, as its register has them; undefined where none was asked. */
  readonly licensedRoles?: readonly string[] | undefined
}

export type AccountFunds = {
  readonly accountId: AccountId
  readonly currency: Currency
  readonly postedMinor: bigint
  readonly heldMinor: bigint
  readonly overdraftMinor: bigint
}

export type ConsentStanding = {
  readonly id: ConsentId
  readonly clientId: string
  readonly kind: ConsentKind
  readonly status: ConsentStatus
  readonly customerId: CustomerId | undefined
  readonly grantId: string | undefined
  readonly permissions: readonly Permission[]
  readonly expiresAt: Date | undefined
  readonly transactionFrom: Date | undefined
  readonly transactionTo: Date | undefined
  readonly deletedAt: Date | undefined
}

const tokenStandingFields = {
  place: isNumber,
  client_status: oneOf(clientStatuses),
  first_party: isTruth,
  organisation: orNull(isText),
  licensed_roles: orNull(listOf(isText)),
  token_revoked: isTruth,
  grant_customer_id: orNull(isCustomerId),
  grant_revoked_at: orNull(isInstant),
  grant_expires_at: orNull(isInstant),
  consent_id: orNull(isConsentId),
  consent_client_id: orNull(isText),
  kind: orNull(oneOf(['account_access', 'domestic_payment', 'transfer'])),
  status: orNull(oneOf(['AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD'])),
  consent_customer_id: orNull(isCustomerId),
  consent_grant_id: orNull(isText),
  permissions: orNull(listOf(isPermission)),
  expires_at: orNull(isInstant),
  transaction_from: orNull(isInstant),
  transaction_to: orNull(isInstant),
  deleted_at: orNull(isInstant),
}
const tokenStandingRow = rowShape(tokenStandingFields)
const standingRow = rowShape({
  ...tokenStandingFields,
  accounts: listOf(isAccountId),
  named_id: orNull(isAccountId),
  named_currency: orNull(isCurrency),
  named_posted_minor: orNull(isWhole),
  named_held_minor: orNull(isWhole),
  named_overdraft_minor: orNull(isWhole),
})
type TokenStandingRow = RowIn<typeof tokenStandingRow>
type StandingRow = RowIn<typeof standingRow>

/** What of a standing does not need the ledger. */
export type TokenStanding = Omit<Standing, 'accounts' | 'named'>

/** In the order of their places. One array each: a token, and the account that its request names. */
type Question = { readonly token: TokenClaims; readonly accountId?: string | undefined }
const valuesOf = (questions: readonly Question[]) => [
  questions.map(({ token }) => token.tokenHash ?? null),
  questions.map(({ token }) => token.grantId ?? null),
  questions.map(({ token }) => token.consentId ?? null),
  questions.map(({ token }) => token.clientId),
]

/** Each `(select …)` keeps the planner from counting the questions, and so from planning anew for every number of them. */
const asked = sql.fragment`
    (select ${null}::bytea[]), (select ${null}::text[]), (select ${null}::text[]), (select ${null}::text[])`

const columns = sql.fragment`
      cl.status as client_status, cl.first_party, cl.organisation, cl.licensed_roles,
      exists (select from oidc.revoked_token where token_hash = asked.token_hash) as token_revoked,
      g.customer_id as grant_customer_id, g.revoked_at as grant_revoked_at, g.expires_at as grant_expires_at,
      co.consent_id, co.client_id as consent_client_id, co.kind, co.status, co.customer_id as consent_customer_id,
      co.grant_id as consent_grant_id, co.permissions, co.expires_at, co.transaction_from, co.transaction_to, co.deleted_at`

const sources = sql.fragment`
    from clients.client cl
    left join oidc.grant g on g.grant_id = asked.grant_id and g.client_id = cl.client_id
    left join consents.consent co on co.consent_id = asked.consent_id`

/** `offset 0` has each question answered by itself, through the keys, however many there are and however small the tables. */
const standingQuery = sql.type(standingRow)`
    select asked.place::int as place, standing.*
    from unnest(${asked}, (select ${null}::text[])) with ordinality as asked (token_hash, grant_id, consent_id, client_id, account_id, place)
    cross join lateral (
      select ${columns},
        case
          when asked.account_id is null then array(
            select a.account_id from ledger.account a
            where a.customer_id = g.customer_id and a.status <> 'closed'
              and case co.kind
                when 'account_access' then exists (
                  select from consents.consent_account ca where ca.consent_id = co.consent_id and ca.account_id = a.account_id)
                when 'domestic_payment' then a.account_id = co.debtor_account_id
                else true end
            order by a.account_id)
          when named.status <> 'closed' and case co.kind
            when 'account_access' then (
              select true from consents.consent_account ca where ca.consent_id = co.consent_id and ca.account_id = named.account_id)
            when 'domestic_payment' then named.account_id = co.debtor_account_id
            else true end then array[named.account_id]
          else '{}' end as accounts,
        named.account_id as named_id, named.currency as named_currency, named.posted_minor as named_posted_minor,
        named.held_minor as named_held_minor, named.overdraft_minor as named_overdraft_minor
      ${sources}
      left join ledger.account named on named.account_id = asked.account_id and named.customer_id = g.customer_id
      where cl.client_id = asked.client_id
      offset 0) as standing`

const findStanding = gatheredRows((tx, questions: readonly Question[]) =>
  tx.any(withValues(standingQuery, [...valuesOf(questions), questions.map(({ accountId }) => accountId ?? null)])),
)

/** One statement for client, grant, consent and accounts: so a change of any of them stops the very next call (CON-12). */
export function readStanding(tx: Transaction, token: TokenClaims, accountId?: string): Promise<Standing> {
  return findStanding(tx, { token, accountId }).then(toStanding)
}

function toStanding(row: StandingRow | undefined): Standing {
  return row === undefined ? nobody : { ...toTokenStanding(row), accounts: new Set(row.accounts), named: toFunds(row) }
}

function toFunds(row: StandingRow): AccountFunds | undefined {
  const { named_id: accountId, named_currency: currency, named_posted_minor: posted, named_held_minor: held } = row
  if (accountId === null || currency === null || posted === null || held === null) return undefined
  return { accountId, currency, postedMinor: posted, heldMinor: held, overdraftMinor: row.named_overdraft_minor ?? 0n }
}

const tokenStandingQuery = sql.type(tokenStandingRow)`
    select asked.place::int as place, standing.*
    from unnest(${asked}) with ordinality as asked (token_hash, grant_id, consent_id, client_id, place)
    cross join lateral (select ${columns} ${sources} where cl.client_id = asked.client_id offset 0) as standing`

const findTokenStanding = gatheredRows((tx, questions: readonly Question[]) => tx.any(withValues(tokenStandingQuery, valuesOf(questions))))

/** For whoever asks about a token and not for an account: the ledger is not read. */
export async function readTokenStanding(tx: Transaction, token: TokenClaims): Promise<TokenStanding> {
  const row = await findTokenStanding(tx, { token })
  return row === undefined ? nobody : toTokenStanding(row)
}

const paymentStandingRow = rowShape({ ...tokenStandingFields, debtor_id: orNull(isAccountId) })

const paymentStandingQuery = sql.type(paymentStandingRow)`
    select asked.place::int as place, standing.*
    from unnest(${asked}) with ordinality as asked (token_hash, grant_id, consent_id, client_id, place)
    cross join lateral (
      select ${columns}, debtor.account_id as debtor_id
      ${sources}
      left join ledger.account debtor
        on debtor.account_id = co.debtor_account_id and debtor.customer_id = g.customer_id and debtor.status <> 'closed'
      where cl.client_id = asked.client_id
      offset 0) as standing`

/**
 * A payment waits for the use of its proof, or for payments before it, anyhow: so more of them go at a time, and PostgreSQL begins less often.
 * The second call is for when the first is never answered: a connection may fall silent, and nobody hears of it for a quarter of an hour.
 */
const patiently = { callsAtOnce: 2, enough: 32 }
const findPaymentStanding = gatheredRows(
  (tx, questions: readonly Question[]) => tx.any(withValues(paymentStandingQuery, valuesOf(questions))),
  patiently,
)

/** Where only a payment consent opens anything: it reaches the account that pays, and no other is looked for. For half of what all costs. */
export async function readPaymentStanding(tx: Transaction, token: TokenClaims): Promise<Standing> {
  const row = await findPaymentStanding(tx, { token })
  if (row === undefined) return nobody
  return { ...toTokenStanding(row), accounts: new Set(row.debtor_id === null ? [] : [row.debtor_id]), named: undefined }
}

const nobody: Standing = { client: undefined, grant: undefined, consent: undefined, accounts: new Set() }

function toTokenStanding(row: TokenStandingRow): TokenStanding {
  return {
    client: toClientStanding(row),
    tokenRevoked: row.token_revoked,
    grant:
      row.grant_customer_id !== null && row.grant_expires_at !== null
        ? { customerId: row.grant_customer_id, revokedAt: row.grant_revoked_at ?? undefined, expiresAt: row.grant_expires_at }
        : undefined,
    consent: toConsentStanding(row),
  }
}

function toClientStanding(row: TokenStandingRow): ClientStanding {
  const { client_status: status, first_party: firstParty, organisation, licensed_roles: licensedRoles } = row
  return { status, firstParty, organisation: organisation ?? undefined, licensedRoles: licensedRoles ?? undefined }
}

function toConsentStanding(row: TokenStandingRow): ConsentStanding | undefined {
  if (row.consent_id === null || row.consent_client_id === null || row.kind === null || row.status === null) return undefined
  return {
    id: row.consent_id,
    clientId: row.consent_client_id,
    kind: row.kind,
    status: row.status,
    customerId: row.consent_customer_id ?? undefined,
    grantId: row.consent_grant_id ?? undefined,
    permissions: row.permissions ?? [],
    expiresAt: row.expires_at ?? undefined,
    transactionFrom: row.transaction_from ?? undefined,
    transactionTo: row.transaction_to ?? undefined,
    deletedAt: row.deleted_at ?? undefined,
  }
}
