import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDateFilter, parseDateTime } from './dates.ts'

test('RW-D-02 date-times of a body: every form of RFC 3339, and nothing else', () => {
  for (const [text, expected] of [
    ['2024-06-01T10:00:00+01:00', '2024-06-01T09:00:00.000Z'],
    ['2024-06-01T10:00:00Z', '2024-06-01T10:00:00.000Z'],
    ['2024-06-01t10:00:00z', '2024-06-01T10:00:00.000Z'],
    ['2024-06-01T10:00:00.123456-05:30', '2024-06-01T15:30:00.123Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ] as const)
    assert.equal(parseDateTime(text)?.toISOString(), expected)
  for (const text of [
    '',
    '2024-06-01',
    '2024-06-01T10:00:00',
    '2024-13-01T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2024-06-31T00:00:00Z',
    '2024-06-01T24:00:00Z',
    '2024-06-01T10:60:00Z',
    '2024-06-01 10:00:00Z',
    '2024-06-01T10:00Z',
    '1717236000',
    '0000-01-01T00:00:00Z',
    '2024-06-01T10:00:00Z\n',
  ])
    assert.equal(parseDateTime(text), undefined, text)
})

test('RW-D-03 date filters: the zone is ignored, a bare date begins at midnight', () => {
  for (const [text, expected] of [
    ['2024-06-01T10:00:00', '2024-06-01T10:00:00.000Z'],
    ['2024-06-01T10:00:00Z', '2024-06-01T10:00:00.000Z'],
    ['2024-06-01T10:00:00+05:00', '2024-06-01T10:00:00.000Z'],
    ['2024-06-01T10:00:00 05:00', '2024-06-01T10:00:00.000Z'],
    ['2024-06-01T10:00:00.5-08:00', '2024-06-01T10:00:00.500Z'],
    ['2024-06-01', '2024-06-01T00:00:00.000Z'],
  ] as const)
    assert.equal(parseDateFilter(text)?.toISOString(), expected)
  for (const text of ['', 'x', '2024-13-01', '2023-02-29', '2024-06-01T25:00:00', '2024-06-01T10', '20240601'])
    assert.equal(parseDateFilter(text), undefined, text)
})
