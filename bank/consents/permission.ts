import { refuse } from '../refusal.ts'

/**
 * The permission codes of UK Open Banking v4.0, clustered and worded as a customer reads them (requirements section 5.9).
 * All 21 may be asked for; what a code opens that this bank does not offer yet stays unreachable.
 */
export const clusters = [
  {
    title: 'Your account details',
    lines: {
      ReadAccountsBasic: 'The name you gave the account and its currency',
      ReadAccountsDetail: 'Your account name, number and sort code',
      ReadBalances: 'Your account balance',
      ReadPAN: 'Your card number',
    },
  },
  {
    title: 'Your regular payments',
    lines: {
      ReadBeneficiariesBasic: 'Payee agreements you have set up',
      ReadBeneficiariesDetail: 'Details of payee agreements you have set up',
      ReadDirectDebits: 'Your direct debits',
      ReadStandingOrdersBasic: 'Your standing orders',
      ReadStandingOrdersDetail: 'Details of your standing orders',
      ReadScheduledPaymentsBasic: 'Recurring and future-dated payments from your account',
      ReadScheduledPaymentsDetail: 'Details of recurring and future-dated payments from your account',
    },
  },
  {
    title: 'Your account transactions',
    lines: {
      ReadTransactionsBasic: 'Your transactions',
      ReadTransactionsDetail: 'Details of your transactions',
      ReadTransactionsCredits: 'Your incoming transactions',
      ReadTransactionsDebits: 'Your outgoing transactions',
    },
  },
  {
    title: 'Your statements',
    lines: {
      ReadStatementsBasic: 'Information contained in your statements',
      ReadStatementsDetail: 'Details contained in your statements',
    },
  },
  {
    title: 'Your account features and benefits',
    lines: {
      ReadProducts: 'The fees, charges, interest and benefits of your account',
      ReadOffers: 'Offers available on your account',
    },
  },
  {
    title: 'Contact and party details',
    lines: {
      ReadParty: 'The full legal names, addresses, telephone numbers and email addresses of the account owners',
      ReadPartyPSU: 'Your full legal name, address, telephone number and email address',
    },
  },
] as const

type Lines<Cluster> = Cluster extends { lines: infer Texts } ? keyof Texts : never
export type Permission = Lines<(typeof clusters)[number]> & string

const codes: ReadonlySet<string> = new Set(clusters.flatMap(({ lines }) => Object.keys(lines)))
export const isPermission = (code: unknown): code is Permission => typeof code === 'string' && codes.has(code)

/** More than there are codes: some third parties repeat them. */
export const permissionsLimit = 42

/**
 * Checks that the codes a third party asks for make sense together (AIS-02, AIS-03). The order and repetitions stay as sent.
 *
 * @throws {Refusal} `permissions_invalid`.
 */
export function validatePermissions(requested: readonly unknown[], path = 'Data.Permissions'): readonly Permission[] {
  const invalid = (message: string) => refuse('permissions_invalid', message, { path })
  if (requested.length === 0) invalid('at least one permission is required')
  if (requested.length > permissionsLimit) invalid(`at most ${permissionsLimit} permissions`)
  if (!requested.every(isPermission)) invalid('an unknown permission code')

  const permissions = requested.filter(isPermission)
  const has = (...some: Permission[]) => some.some((code) => permissions.includes(code))
  if (!has('ReadAccountsBasic', 'ReadAccountsDetail')) invalid('ReadAccountsBasic or ReadAccountsDetail is required')
  const depth = has('ReadTransactionsBasic', 'ReadTransactionsDetail')
  const direction = has('ReadTransactionsCredits', 'ReadTransactionsDebits')
  if (depth && !direction)
    invalid('ReadTransactionsBasic and ReadTransactionsDetail need ReadTransactionsCredits or ReadTransactionsDebits')
  if (direction && !depth)
    invalid('ReadTransactionsCredits and ReadTransactionsDebits need ReadTransactionsBasic or ReadTransactionsDetail')
  return permissions
}
