/// What must hold after every step, whatever the schedule.
public enum Invariant: String, Sendable, CaseIterable {
  case tooManyTokens = "more valid tokens than holders"
  case tokenRepeated = "a token was given twice"
  case staleFillAccepted = "a fill that a delete had voided was taken as fresh"
  case expiredTokenAccepted = "a token was accepted after its deadline"
  case deadTokenAccepted = "a dead token was accepted"
  case validTokenRefused = "a valid token was refused"
  case staleServedAsFresh = "a value was served as fresh that was read before a delete or a hold"
  case staleTooLong = "a stale value was shown after its window"
  case wrongValue = "a value came back damaged, from another key, or after it was replaced"
  case grantRefused = "nobody held a lease, and yet none was given"
  case doublePromotion = "more waiters were promoted than leases were lost"
  case lostWakeUp = "a waiter was left parked though there was something to tell it"
  case wrongAnswer = "a waiter was told something else than what happened"
  case answeredTwice = "a waiter was answered twice, or by another worker"
  case waiterPastDeadline = "a waiter was left parked after its deadline"
  case wrongParking = "a reader was parked, or was not, against the rules"
  case wrongReply = "a request was answered against the rules"
  case countersOff = "the counters do not add up"
  case upkeepNotPlanned = "upkeep was not asked for in time"
  case leftOver = "something was left over at the end"
}

/// The first thing that went wrong under a seed; the same seed fails in the same way again.
public struct SimulationFailure: Error, Equatable, Sendable, CustomStringConvertible {
  public let seed: UInt64
  public let step: Int
  public let invariant: Invariant
  public let message: String

  public var description: String { "seed \(seed), step \(step): \(invariant.rawValue): \(message)" }
}
