import { type Transaction, z } from '@bankside/service-kit/postgres'
import { refuse } from '../refusal.ts'
import type { AccountAccessConsent } from './consent.ts'
import { type AccountAccessTerms, assertDates, lodgeAccountAccessConsent } from './lodge-account-access-consent.ts'
import { permissionsLimit, validatePermissions } from './permission.ts'

const dateTime = z.iso.datetime({ offset: true }).optional()

/** What a third party asks to see: the RAR detail of type `account_information`. Unknown members are refused (RAR-01). */
const accountInformationDetail = z.strictObject({
  type: z.literal('account_information'),
  permissions: z.array(z.string()).min(1).max(permissionsLimit),
  expirationDateTime: dateTime,
  transactionFromDateTime: dateTime,
  transactionToDateTime: dateTime,
})
export type AccountInformationDetail = z.infer<typeof accountInformationDetail>

/** @throws {Refusal} `field_invalid`, `permissions_invalid`, `date_invalid`, with the path of the first member at fault. */
export function parseAccountInformationDetail(detail: unknown, now: Date): AccountInformationDetail {
  const parsed = accountInformationDetail.safeParse(detail)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse('field_invalid', issue?.message ?? 'not an account information', { path: issue?.path.join('.') })
  }
  validatePermissions(parsed.data.permissions, 'permissions')
  assertDates(termsOf(parsed.data), now)
  return parsed.data
}

/** What is asked for, in the terms of a consent. */
export function termsOf(detail: AccountInformationDetail): AccountAccessTerms {
  return {
    permissions: detail.permissions,
    expiresAt: dateOf(detail.expirationDateTime),
    transactionFrom: dateOf(detail.transactionFromDateTime),
    transactionTo: dateOf(detail.transactionToDateTime),
  }
}

const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text))

export type AccountInformationOrder = {
  readonly clientId: string
  readonly detail: unknown
  /** The consent that the detail is added to, if it is. */
  readonly mergedInto?: AccountAccessConsent | undefined
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * Keeps what was asked for by detail as the row that the UK API would have made of the same words, so that whatever reads,
 * shows or ends a consent need not know by which door it came.
 *
 * @throws {Refusal} as {@link parseAccountInformationDetail}.
 */
export function lodgeAccountInformation(
  tx: Transaction,
  { detail, mergedInto, ...order }: AccountInformationOrder,
): Promise<AccountAccessConsent> {
  const parsed = parseAccountInformationDetail(detail, order.now)
  const asked = mergedInto === undefined ? parsed : mergedWith(mergedInto, parsed)
  return lodgeAccountAccessConsent(tx, { ...order, ...termsOf(asked), request: ukRequestOf(asked) })
}

/** The body that would have lodged it over the UK API, which serves the consent from it. */
export function ukRequestOf(detail: Omit<AccountInformationDetail, 'type'>): object {
  const dates = {
    ExpirationDateTime: detail.expirationDateTime,
    TransactionFromDateTime: detail.transactionFromDateTime,
    TransactionToDateTime: detail.transactionToDateTime,
  }
  return { Data: { Permissions: detail.permissions, ...dates }, Risk: {} }
}

type UkRequest = {
  readonly Data: {
    readonly Permissions: readonly string[]
    readonly ExpirationDateTime?: string | null
    readonly TransactionFromDateTime?: string | null
    readonly TransactionToDateTime?: string | null
  }
}

/** A consent in the words of a detail, by whichever door it came. */
export function accountInformationOf({ request }: AccountAccessConsent): AccountInformationDetail {
  const { Data } = request as UkRequest
  return {
    type: 'account_information',
    permissions: [...Data.Permissions],
    ...(Data.ExpirationDateTime && { expirationDateTime: Data.ExpirationDateTime }),
    ...(Data.TransactionFromDateTime && { transactionFromDateTime: Data.TransactionFromDateTime }),
    ...(Data.TransactionToDateTime && { transactionToDateTime: Data.TransactionToDateTime }),
  }
}

/**
 * What a consent becomes when a detail is added to it (GM-05): the permissions of both, and the dates of the detail where it
 * names any. A date that it does not name stays as it is: it does not mean "for ever" here. The customer sees and decides on the result.
 */
export function mergedWith(consent: AccountAccessConsent, added: AccountInformationDetail): AccountInformationDetail {
  const before = accountInformationOf(consent)
  return { ...before, ...added, permissions: [...new Set([...before.permissions, ...added.permissions])] }
}
