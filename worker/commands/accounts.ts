import { type ClosingRefusal, closeAccount } from '@bankside/bank/accounts/close-account'
import { openCustomerAccount } from '@bankside/bank/accounts/open-customer-account'
import { isAccountId, isCustomerId, newAccountId } from '@bankside/bank/ids'
import { parseAmount } from '@bankside/bank/money'
import { isShownText } from '@bankside/bank/shown-text'
import { systemClock } from '@bankside/service-kit/clock'
import { type Database, sql, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { Refusal } from '@bankside/service-kit/refusal'
import { type Command, Complaint, isWhy, operator, optionsIn } from './run-command.ts'

const usage = `npm run accounts -- open --for CUSTOMER_ID --called "Holidays" --first "0.00 GBP" [--from ACCOUNT_ID]
                     [--sort-code 040404 --number 12345678]    its first money comes from the account, or it is not opened
npm run accounts -- close ACCOUNT_ID --why "…" [--rest-to ACCOUNT_ID]
                     for good: what is left is moved there, and consents lose the account`

const options = ['for', 'called', 'first', 'from', 'sort-code', 'number', 'rest-to', 'why'] as const
type Values = Readonly<Partial<Record<(typeof options)[number], string>>>
const calledAtMost = 70

/** `npm run accounts -- …`: accounts of customers, from their first entry to their last. */
export const accountsCommand: Command = async (database, args) => {
  const { command, subject = '', values } = optionsIn(args, options, usage)
  switch (command) {
    case 'open':
      return open(database, values)
    case 'close':
      return close(database, subject, values)
    default:
      throw new Complaint(usage)
  }
}

async function open(database: Database, { for: customerId = '', called = '', first = '', from, ...numbers }: Values): Promise<string> {
  const shown = isShownText(called) && called.length <= calledAtMost
  if (!isCustomerId(customerId) || !shown || (from !== undefined && !isAccountId(from))) throw new Complaint(usage)
  const [amount = '', currency = ''] = first.split(' ')
  const accountId = newAccountId()
  try {
    await transact(database, async (tx) => {
      const holder = await tx.maybeOne(sql.type(z.object({ full_name: z.string() }))`
        select full_name from customers.customer where customer_id = ${customerId}`)
      if (holder === null) throw new Complaint(`There is no customer ${customerId}.`)
      await openCustomerAccount(tx, {
        ...{ accountId, customerId, nickname: called, holderName: holder.full_name, typeCode: 'CACC', from },
        ...{ first: parseAmount(amount, currency), sortCode: numbers['sort-code'], accountNumber: numbers.number },
        ...{ actor: operator(), now: systemClock.now() },
      })
    })
  } catch (error) {
    if (error instanceof Refusal) throw new Complaint(`It is not opened: ${error.message} (${error.code}).`)
    if (violatedConstraint(error)?.startsWith('account_')) throw new Complaint(`It is not opened: ${violatedConstraint(error)}.`)
    throw error
  }
  return `${accountId} is open.`
}

async function close(database: Database, accountId: string, { why = '', 'rest-to': restTo }: Values): Promise<string> {
  if (!isAccountId(accountId) || !isWhy(why) || (restTo !== undefined && !isAccountId(restTo))) throw new Complaint(usage)
  const restBy = await transact(database, async (tx) => {
    const outcome = await closeAccount(tx, { accountId, restTo, why, actor: operator(), now: systemClock.now() })
    if ('declined' in outcome) throw new Complaint(`${accountId} is not closed: ${notClosed[outcome.declined]}.`)
    return outcome.restBy
  })
  return `${accountId} is closed${restBy === undefined ? '' : `, its rest moved by ${restBy}`}.`
}

const notClosed = {
  account_not_found: 'there is no such account of a customer',
  account_closed_already: 'it is closed already',
  account_not_usable: 'it is frozen',
  account_has_holds: 'funds are held on it, for payments that are not finished',
  account_is_overdrawn: 'it owes something',
  rest_needs_an_account: 'something is left on it: say with --rest-to where that goes',
  rest_account_not_usable: 'the account for the rest is missing, closed, or in another currency',
} as const satisfies Record<ClosingRefusal, string>
