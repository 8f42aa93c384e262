import { problemPage } from '@bankside/consent-ui/problem'
import { problemTexts, type Situation } from '@bankside/consent-ui/situations'
import type { Html } from '@bankside/service-kit/html'
import { commonOf } from '../page-frame.ts'
import type { Context } from './request-context.ts'

/** One of the situations that the pages have words for, or words of its own. */
export type Problem = { readonly status: number } & ({ readonly situation: Situation } | Words)
type Words = { readonly title: string; readonly whatHappened: string; readonly didMoneyMove?: string; readonly whatToDo: string }

type About = {
  readonly name?: string | undefined
  readonly payment?: boolean
  readonly backHref?: string
  /** The way on stays at the bank, whoever it was about. */
  readonly backToBank?: boolean
  readonly protocolError?: string
}

/** Bad news for a person: what happened, whether money moved, what to do (CX-17). Nothing of ours inside. */
export function answerProblem(ctx: Context, problem: Problem, about: About = {}): void {
  const { name, payment = false, backHref, backToBank = false, protocolError } = about
  const common = commonOf(backToBank ? undefined : name)
  const words =
    'situation' in problem ? problemTexts(problem.situation, { bankName: common.bankName, thirdParty: name, payment }) : wordsOf(problem)
  const page = problemPage({ common, ...words, reference: ctx.state.requestId, protocolError, ...(backHref !== undefined && { backHref }) })
  answerPage(ctx, page, problem.status)
}

/** These happen before anything is done. */
const wordsOf = ({ title, whatHappened, didMoneyMove = 'Opening it shared nothing and paid nothing.', whatToDo }: Words) => ({
  title,
  whatHappened,
  didMoneyMove,
  whatToDo,
})

export function answerPage(ctx: Context, page: Html, status = 200): void {
  ctx.status = status
  ctx.type = 'html'
  ctx.set('Cache-Control', 'no-store')
  ctx.body = String(page)
}

const startAgain = 'Go back to the company you came from and start again.'

/** Problems that belong to no journey. */
export const problems = {
  notFound: { status: 404, situation: 'not_found' },
  ended: { status: 400, situation: 'page_expired' },
  oldPage: { status: 409, situation: 'page_expired' },
  unavailable: { status: 503, situation: 'unavailable' },
  fault: { status: 500, situation: 'fault' },
  notAllowed: {
    status: 405,
    title: 'This page cannot be used like this',
    whatHappened: 'Your browser asked for this page in a way it does not understand.',
    whatToDo: startAgain,
  },
  brokenRequest: {
    status: 400,
    title: 'This link does not work',
    whatHappened: 'The company that sent you here made a mistake in its request, or the link was used before.',
    whatToDo: startAgain,
  },
  tooLarge: {
    status: 413,
    title: 'Too much at once',
    whatHappened: 'Your browser sent more than this page takes.',
    whatToDo: startAgain,
  },
  tooManyRequests: {
    status: 429,
    title: 'Please wait a moment',
    whatHappened: 'Too many requests came from your network at once.',
    whatToDo: 'Wait a few seconds, then try again.',
  },
  proofNotReady: {
    status: 409,
    title: 'The proof is not ready yet',
    whatHappened: 'We sign what was paid every few seconds. This payment is not among it yet.',
    didMoneyMove: 'Your payment goes on as it was.',
    whatToDo: 'Wait ten seconds, then try again.',
  },
  proofArchived: {
    status: 410,
    title: 'The proof is in our archive',
    whatHappened: 'What we recorded of this payment is so old that we keep it in our archive, from where this page cannot show it.',
    didMoneyMove: 'Nothing changes about your payment. A proof that you saved earlier is still good.',
    whatToDo: 'Ask us for the records of this payment.',
  },
  foreignForm: {
    status: 403,
    title: 'We did not accept this',
    whatHappened: 'What your browser sent did not come from a page of ours.',
    whatToDo: startAgain,
  },
} as const satisfies Record<string, Problem>
