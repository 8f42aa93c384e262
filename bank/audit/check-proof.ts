import { formatMoney, isCurrency } from '../money.ts'
import { checkConsistency } from './check-consistency.ts'
import { type CheckedProof, checkBeginning, checkLeaf, inWordsOf, isSameSize, opened, twoHistories } from './check-leaf.ts'
import type { Checkpoint, LogVerifiers } from './checkpoint.ts'
import { consistencyProof, type PaymentProof, type ProvenLeaf, paymentProof } from './proof.ts'

/**
 * Checks what the bank gave away, with nothing but the bank's public key. Reaches no server and no database.
 *
 * @param kept a checkpoint that whoever asks has kept: a proof of consistency must begin from it, and a payment's agree with it.
 */
export function checkProof(text: string, verifiers: LogVerifiers, kept?: Checkpoint): CheckedProof {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return { proven: [], problems: ['the file is not JSON: it was cut off or changed'] }
  }
  const isConsistency = (given as { format?: unknown } | null)?.format === 'bankside-consistency-proof/1'
  const parsed = (isConsistency ? consistencyProof : paymentProof).safeParse(given)
  if (!parsed.success)
    return { proven: [], problems: parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`) }
  return 'from' in parsed.data ? checkConsistency(parsed.data, verifiers, kept) : checkPayment(parsed.data, verifiers, kept)
}

function checkPayment(proof: PaymentProof, verifiers: LogVerifiers, kept: Checkpoint | undefined): CheckedProof {
  const problems: string[] = []
  const checkpoint = opened(proof.checkpoint, 'checkpoint', verifiers, problems)
  if (checkpoint === undefined) return { proven: [], problems }
  const beginning = checkBeginning(proof.begins as ProvenLeaf | undefined, { checkpoint, verifiers, kept }, problems)
  if (kept !== undefined && isSameSize(kept, checkpoint) && !kept.root.equals(checkpoint.root))
    problems.push(twoHistories(kept, 'checkpoint'))
  for (const proven of proof.leaves as ProvenLeaf[]) problems.push(...checkLeaf(proven, checkpoint))
  // Only what is in the tree is worth comparing.
  if (problems.length > 0) return { proven: [], problems }
  const story = tell(proof)
  if (story.problems.length > 0) return { proven: [], problems: story.problems }
  return {
    proven: [
      `The log ${checkpoint.origin} had ${checkpoint.size} leaves when it was signed ${checkpoint.signedAt.toISOString()}; the signature is good, and each of the following is in it:`,
      ...(beginning === undefined ? [] : inWordsOf(beginning)),
      ...story.proven,
    ],
    problems,
  }
}

/** What the leaves say together, and where they contradict each other. */
function tell({ payment_id, leaves }: PaymentProof): CheckedProof {
  const problems: string[] = []
  const records = leaves.flatMap(({ content }) => (content.table === 'audit.record' ? [content] : []))
  const submitted = records.find(({ shown }) => shown['action'] === 'payment.submitted' && shown['subject'] === payment_id)
  if (submitted === undefined) return { proven: [], problems: [`nothing shows that payment ${payment_id} was submitted`] }
  const consentId = submitted.details['consentId']
  const { holdId } = submitted.details
  for (const { shown } of records)
    if (shown['subject'] !== payment_id && shown['subject'] !== consentId && (holdId === undefined || shown['subject'] !== holdId))
      problems.push(`${shown['action']} of ${shown['subject']} is of neither the payment nor its consent, nor its hold`)
  for (const action of ['consent.lodged', 'consent.authorised', 'consent.consumed'])
    if (!records.some(({ shown }) => shown['action'] === action && shown['subject'] === consentId))
      problems.push(`nothing shows ${action} of ${consentId}, under which the payment was submitted`)
  const lodged = records.find(({ shown }) => shown['action'] === 'consent.lodged')
  const entries = leaves.flatMap(({ content }) => (content.table === 'ledger.entry' ? [content] : []))
  // What nothing waited for is posted when it is submitted.
  const isPosted = submitted.details['status'] === 'posted' || records.some(({ shown }) => shown['action'] === 'payment.posted')
  if (isPosted !== (entries.length === 1))
    problems.push(isPosted ? 'the payment was posted, and its entry is not there' : 'there is an entry of a payment that was not posted')
  const inOrder = records.toSorted(byTime)
  const lines = inOrder.map(({ shown, details }) => `  ${shown['occurred_at']}  ${shown['action']}  ${shown['subject']}${inWords(details)}`)
  for (const entry of entries) {
    problems.push(...entryProblems(entry, payment_id, lodged?.details['amountMinor'], lodged?.details['currency']))
    problems.push(...otherThanSubmitted(entry, submitted.details))
    const outOf = entry.row['hold_id'] === null ? '' : ` out of hold ${entry.row['hold_id']}`
    lines.push(`  ${entry.row['booked_at']}  entry ${entry.row['entry_id']} for payment ${entry.row['payment_id']}${outOf}:`)
    for (const { shown } of entry.postings) lines.push(`    ${money(shown['amount_minor'], shown['currency'])}  on ${shown['account_id']}`)
  }
  const byHold = holdId === undefined ? '' : `set aside by hold ${holdId} and `
  const outcome = isPosted
    ? `So consent ${consentId} was lodged, authorised and consumed for payment ${payment_id}, whose money was ${byHold}moved by one entry that sums to zero.`
    : `So payment ${payment_id} was submitted under consent ${consentId}; no entry is proven: the money did not move, or not yet.`
  return { proven: [...lines, outcome], problems }
}

const stages = ['consent.lodged', 'consent.authorised', 'consent.consumed', 'payment.submitted']

/** What happened in one moment is told in the order in which it must have. */
function byTime({ shown: one }: Shown, { shown: other }: Shown): number {
  const [at, otherAt] = [one['occurred_at'] ?? '', other['occurred_at'] ?? '']
  if (at !== otherAt) return at < otherAt ? -1 : 1
  const rank = (action: string | null | undefined) => (stages.indexOf(action ?? '') + stages.length + 1) % (stages.length + 1)
  return rank(one['action']) - rank(other['action'])
}
type Shown = { readonly shown: Readonly<Record<string, string | null>> }

type Entry = Extract<PaymentProof['leaves'][number]['content'], { table: 'ledger.entry' }>

function entryProblems({ row, postings }: Entry, paymentId: string, amountMinor: unknown, currency: unknown): string[] {
  const problems: string[] = []
  const name = `entry ${row['entry_id']}`
  if (row['payment_id'] !== paymentId) problems.push(`${name} is of payment ${row['payment_id']}`)
  const sums = new Map<string, bigint>()
  for (const { shown } of postings)
    sums.set(shown['currency'] ?? '', (sums.get(shown['currency'] ?? '') ?? 0n) + BigInt(shown['amount_minor'] ?? '0'))
  for (const [of, sum] of sums) if (sum !== 0n) problems.push(`${name} does not sum to zero in ${of}`)
  const isAgreed = postings.some(({ shown }) => shown['currency'] === currency && shown['amount_minor'] === `-${amountMinor}`)
  if (amountMinor !== undefined && !isAgreed)
    problems.push(`${name} does not move ${money(String(amountMinor), String(currency))}, as the consent says`)
  return problems
}

/** What was set aside is what moved; what was posted at once is the entry that was named then. Records from before say neither. */
function otherThanSubmitted({ row }: Entry, { holdId, entryId }: Readonly<Record<string, unknown>>): string[] {
  const name = `entry ${row['entry_id']}`
  return [
    ...(holdId === undefined || holdId === row['hold_id']
      ? []
      : [`${name} is out of hold ${row['hold_id']}, the payment was submitted with ${holdId}`]),
    ...(entryId === undefined || entryId === row['entry_id'] ? [] : [`${name} is not ${entryId}, by which the payment was posted`]),
  ]
}

const money = (minor: string | null | undefined, currency: string | null | undefined): string =>
  minor != null && isCurrency(currency) ? `${formatMoney({ minor: BigInt(minor), currency })} ${currency}` : `${minor} ${currency}`

const inWords = (details: Readonly<Record<string, unknown>>): string => {
  const { amountMinor, currency, ...others } = details
  const amount = amountMinor === undefined ? [] : [money(String(amountMinor), String(currency))]
  const words = Object.entries(others).flatMap(([name, value]) => (value === null ? [] : [`${name} ${value}`]))
  const all = [...amount, ...words]
  return all.length === 0 ? '' : `  (${all.join(', ')})`
}
