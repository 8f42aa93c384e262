import type { AccountToShow } from '@bankside/bank/accounts/list-customer-accounts'
import type { CustomerId } from '@bankside/bank/ids'
import { type Limit, limitInWords } from '@bankside/bank/limits/limit'
import { listLimits } from '@bankside/bank/limits/list-limits'
import { endLimit, setLimit } from '@bankside/bank/limits/set-limit'
import { type Money, parseMoney } from '@bankside/bank/money'
import { refusalOf } from '@bankside/bank/refusal'
import { formErrors } from '@bankside/consent-ui/form-errors'
import { formatAmount } from '@bankside/consent-ui/format/amount'
import type { OwnLimits } from '@bankside/consent-ui/own-limits'
import type { FieldError } from '@bankside/consent-ui/page'
import type { Transaction } from '@bankside/service-kit/postgres'
import type { Form } from '../http/form.ts'
import { describeAccount } from '../interactions/journey-pages.ts'
import { accountsOf } from './consent-views.ts'

type Whose = { readonly customerId: CustomerId; readonly now: Date }

/** Where a limit may count: one account, or all of a currency together. */
type Place = { readonly id: string; readonly text: string; readonly currency: AccountToShow['currency']; readonly account?: AccountToShow }

async function placesOf(tx: Transaction, customerId: CustomerId): Promise<readonly Place[]> {
  const accounts = [...(await accountsOf(tx, customerId)).values()]
  const currencies = [...new Set(accounts.map(({ currency }) => currency))]
  return [
    ...accounts.map((account) => ({ id: account.id, text: nameOf(account), currency: account.currency, account })),
    ...currencies.map((currency) => ({
      id: currency,
      text: `All accounts in ${currency} together`,
      currency,
    })),
  ]
}

const nameOf = (account: AccountToShow) => `${account.nickname}, ${describeAccount(account).maskedIdentifier}`

/** What belongs to the page. Of the bank's limits for everybody a customer is told when one refuses. */
export async function limitsOf(
  tx: Transaction,
  customerId: CustomerId,
  said: unknown,
): Promise<Pick<OwnLimits, 'limits' | 'places' | 'errors' | 'notifications'>> {
  const places = await placesOf(tx, customerId)
  const limits = await limitsFor(tx, customerId, places)
  const word = typeof said === 'string' ? said : ''
  const error = Object.hasOwn(problems, word) ? problems[word] : undefined
  return {
    places,
    limits: limits.map((limit) => ({
      id: limit.setBy === 'customer' ? limit.id : undefined,
      text: limitInWords(limit, formatAmount(limit.most)),
      of: places.find(({ id }) => id === limit.subjectId)?.text ?? 'All accounts',
      asks: limit.soft,
    })),
    errors: error && [error],
    notifications: Object.hasOwn(done, word) ? [done[word] ?? ''] : [],
  }
}

const limitsFor = (tx: Transaction, customerId: CustomerId, places: readonly Place[]): Promise<readonly Limit[]> =>
  listLimits(tx, [customerId, ...places.flatMap(({ account }) => account?.id ?? [])])

const problems: Readonly<Record<string, FieldError>> = {
  account: formErrors.limitPlaceMissing,
  per: formErrors.limitTimeMissing,
  most: formErrors.limitAmountWrong,
  kind: formErrors.limitKindMissing,
}
const done: Readonly<Record<string, string>> = { set: 'Your limit is set.', ended: 'Your limit is removed.' }

/** Sets or ends a limit of the customer's own. @returns a word for the page that follows. */
export async function changeLimits(tx: Transaction, form: Form, { customerId, now }: Whose): Promise<string> {
  const places = await placesOf(tx, customerId)
  if (form.one('action') === 'stop') {
    const limit = (await limitsFor(tx, customerId, places)).find(({ id, setBy }) => setBy === 'customer' && id === form.one('limit'))
    if (limit !== undefined) await endLimit(tx, { limitId: limit.id, setBy: 'customer', actor: customerId, now })
    return 'ended'
  }
  const place = places.find(({ id }) => id === form.one('account'))
  const period = (['payment', 'day', 'month'] as const).find((name) => name === form.one('per'))
  const kind = form.one('kind')
  if (place === undefined) return 'account'
  if (period === undefined) return 'per'
  const most = amountIn(form.one('most'), place.currency)
  if (most === undefined) return 'most'
  if (kind !== 'ask' && kind !== 'refuse') return 'kind'
  const { account } = place
  const of =
    account === undefined ? ({ scope: 'customer', subjectId: customerId } as const) : ({ scope: 'account', subjectId: account.id } as const)
  await setLimit(tx, { ...of, channel: undefined, period, most, soft: kind === 'ask', setBy: 'customer', actor: customerId, now })
  return 'set'
}

/** As people write it: `1,250` and `£1250.00` too. */
function amountIn(text: string, currency: Money['currency']): Money | undefined {
  try {
    return parseMoney(text.replace(/[\s,£€$]/g, ''), currency)
  } catch (error) {
    if (refusalOf(error) === undefined) throw error
    return undefined
  }
}
