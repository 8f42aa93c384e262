import { isAccountId, isConsentId, isCustomerId } from '@bankside/bank/ids'
import { type Limit, type LimitPeriod, limitInWords, longestWindowHours } from '@bankside/bank/limits/limit'
import { listLimits } from '@bankside/bank/limits/list-limits'
import { endLimit, setLimit } from '@bankside/bank/limits/set-limit'
import { parseAmount } from '@bankside/bank/money'
import { isPaymentChannel } from '@bankside/bank/payments/payment'
import { systemClock } from '@bankside/service-kit/clock'
import { type Database, transact } from '@bankside/service-kit/postgres'
import { Refusal } from '@bankside/service-kit/refusal'
import { type Command, Complaint, inColumns, operator, optionsIn } from './run-command.ts'

const usage = `npm run limits -- list [ACCOUNT_ID, CUSTOMER_ID or CONSENT_ID]
npm run limits -- set --of account --per day --most "5000.00 GBP"     of each account; also customer, consent, or one by its id
                      [--channel uk_v4]                               what is paid through it alone; also bank_api
                      [--own hard]                                    on behalf of the customer; soft: paid when they confirm it
npm run limits -- end LIMIT_ID
--per is payment, day, month, or hours as in 24h, at most ${longestWindowHours}h.`

const options = ['of', 'per', 'most', 'channel', 'own'] as const
type Values = Readonly<Partial<Record<(typeof options)[number], string>>>

/** `npm run limits -- …`: how much may be paid. */
export const limitsCommand: Command = async (database, args) => {
  const { command, subject, values } = optionsIn(args, options, usage)
  switch (command) {
    case 'list':
      return list(database, subject)
    case 'set':
      return set(database, values)
    case 'end':
      return end(database, subject)
    default:
      throw new Complaint(usage)
  }
}

async function list(database: Database, subject: string | undefined): Promise<string> {
  const limits = await transact(database, (tx) => listLimits(tx, subject === undefined ? undefined : [subject]))
  if (limits.length === 0) return 'There is none.'
  return inColumns(limits.map((limit) => [limit.id, limit.subjectId ?? `each ${limit.scope}`, whoseIs(limit), limitInWords(limit)]))
}

const whoseIs = ({ setBy, soft }: Limit) => (setBy === 'bank' ? 'the bank’s' : soft ? 'their own, soft' : 'their own')

async function set(database: Database, { of = '', per = '', most = '', channel, own }: Values): Promise<string> {
  const { scope, subjectId } = subjectOf(of)
  if (channel !== undefined && !isPaymentChannel(channel)) throw new Complaint(usage)
  if (own !== undefined && ((own !== 'hard' && own !== 'soft') || subjectId === undefined || scope === 'consent'))
    throw new Complaint(usage)
  const setBy = own === undefined ? 'bank' : 'customer'
  const limit = { scope, subjectId, channel, period: periodOf(per), most: amountOf(most), soft: own === 'soft', setBy } as const
  const limitId = await transact(database, (tx) => setLimit(tx, { ...limit, actor: operator(), now: systemClock.now() }))
  return `${limitId}: ${limitInWords(limit)}.`
}

async function end(database: Database, limitId: string | undefined): Promise<string> {
  if (limitId === undefined) throw new Complaint(usage)
  const [actor, now] = [operator(), systemClock.now()]
  for (const setBy of ['bank', 'customer'] as const)
    if (await transact(database, (tx) => endLimit(tx, { limitId, setBy, actor, now }))) return `${limitId} is ended.`
  throw new Complaint(`There is no limit ${limitId} that holds.`)
}

function subjectOf(of: string): Pick<Limit, 'scope' | 'subjectId'> {
  if (of === 'account' || of === 'customer' || of === 'consent') return { scope: of, subjectId: undefined }
  if (isAccountId(of)) return { scope: 'account', subjectId: of }
  if (isCustomerId(of)) return { scope: 'customer', subjectId: of }
  if (isConsentId(of)) return { scope: 'consent', subjectId: of }
  throw new Complaint(usage)
}

function periodOf(per: string): LimitPeriod {
  if (per === 'payment' || per === 'day' || per === 'month') return per
  const hours = /^[0-9]{1,3}h$/.test(per) ? Number(per.slice(0, -1)) : 0
  if (hours < 1 || hours > longestWindowHours) throw new Complaint(usage)
  return { hours }
}

function amountOf(most: string) {
  const [amount = '', currency = ''] = most.split(' ')
  try {
    return parseAmount(amount, currency)
  } catch (error) {
    throw error instanceof Refusal ? new Complaint(`--most is an amount like "5000.00 GBP": ${error.message}.`) : error
  }
}
