# SPDX-License-Identifier: Apache-2.0
"""The judge of a soak, on series that were made up: what it must find, and what it must not."""
import random
import unittest

import judge

MIB = judge.MIB


def series(minutes, value, every=5):
    """Samples of value(second), which may be noisy."""
    return [(second, value(second)) for second in range(0, minutes * 60, every)]


class Slope(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(7)

    def noise(self, second, size=MIB):
        """As an allocator has it: levels that last for a while, and peaks."""
        level = random.Random(second // 40).uniform(0, size)
        return level + (4 * MIB if self.random.random() < 0.03 else 0)

    def test_a_leak_of_one_kibibyte_a_second_is_found_within_forty_minutes(self):
        found = judge.memory(series(40, lambda s: 8 * MIB + 1024 * s + self.noise(s)))
        self.assertIn("grows by", found)

    def test_a_leak_in_steps_is_found(self):
        found = judge.memory(series(60, lambda s: 8 * MIB + s // 300 * 300 * 1024 + self.noise(s)))
        self.assertIn("grows by", found)

    def test_a_leak_of_two_hundred_bytes_a_second_is_found_in_two_hours(self):
        found = judge.memory(series(120, lambda s: 8 * MIB + 200 * s + self.noise(s, MIB // 2)))
        self.assertIn("grows by", found)

    def test_noise_is_no_leak(self):
        for minutes in (20, 40, 120):
            for offset in range(20):
                found = judge.memory(series(
                    minutes, lambda s, o=offset: 8 * MIB + self.noise(s + 100000 * o)))
                self.assertEqual("", found)

    def test_a_peak_and_one_step_early_on_are_no_leak(self):
        self.assertEqual("", judge.memory(series(
            60, lambda s: (9 if s > 500 else 8) * MIB + (20 * MIB if 900 < s < 960 else 0))))

    def test_buffers_that_are_filled_a_little_further_are_no_leak(self):
        self.assertEqual("", judge.memory(series(
            35, lambda s: 10 * MIB + s // 200 * 32 * 1024)))

    def test_memory_that_shrinks_is_no_leak(self):
        self.assertEqual("", judge.memory(series(60, lambda s: 20 * MIB - 1024 * s)))

    def test_too_much_at_once_is_found(self):
        self.assertIn("reached", judge.memory(series(1, lambda s: 8 * MIB + (s == 30) * 100 * MIB)))

    def test_nothing_measured_is_a_failure(self):
        self.assertEqual("no samples", judge.memory([]))

    def test_the_slope_of_a_line_is_its_own(self):
        likely, lowest = judge.slope(series(30, lambda s: 3 * s + 5))
        self.assertAlmostEqual(3, likely)
        self.assertAlmostEqual(3, lowest)


class Files(unittest.TestCase):
    def test_a_file_that_is_many_times_its_content_is_found(self):
        self.assertIn("reached", judge.file_size(series(30, lambda s: 100 * MIB), 10 * MIB))

    def test_a_file_that_never_stops_growing_is_found(self):
        for minutes, speed in ((60, 4096), (120, 1024)):
            found = judge.file_size(series(minutes, lambda s, v=speed: 10 * MIB + v * s), 10 * MIB)
            self.assertIn("second half", found)

    def test_the_most_of_what_goes_up_and_down_is_no_leak(self):
        levels = random.Random(3)
        most = [0]

        def size(_):
            most[0] = max(most[0], 10 * MIB + int(levels.gauss(0, MIB)))
            return most[0]
        self.assertEqual("", judge.file_size(series(60, size), 10 * MIB))

    def test_a_file_that_has_found_its_size_is_not(self):
        self.assertEqual("", judge.file_size(
            series(60, lambda s: min(10 * MIB + 65536 * s, 24 * MIB)), 10 * MIB))


class Levels(unittest.TestCase):
    def test_readers_that_leak_are_found(self):
        few = series(10, lambda s: 2)
        leak = series(10, lambda s: 1 + s // 60)
        self.assertIn("open reads", judge.readers(leak, few, 1))
        self.assertIn("places", judge.readers(few, leak, 1))
        self.assertIn("at rest", judge.readers(few, few, 2))
        self.assertIn("no samples", judge.readers([], few, 1))
        self.assertEqual("", judge.readers(few, few, 1))

    def test_descriptors_that_stay_open_are_found(self):
        self.assertIn("descriptors", judge.descriptors(14, 40, 2))
        self.assertEqual("", judge.descriptors(14, 18, 2))

    def test_threads_that_stay_are_found(self):
        self.assertIn("threads", judge.threads(series(10, lambda s: 6 + s // 300)))
        self.assertEqual("", judge.threads(series(10, lambda s: 6)))

    def test_errors_in_the_log_are_found_unless_they_are_explained(self):
        lines = ["level=info event=ready", "level=error event=store-refused note=x"]
        self.assertIn("store-refused", judge.log(lines))
        self.assertEqual("", judge.log(lines, ["event=store-refused"]))

    def test_a_node_that_is_not_like_the_others_is_found(self):
        self.assertIn("c", judge.equal({"a": 1, "b": 1, "c": 2}, "roots"))
        self.assertEqual("", judge.equal({"a": 1, "b": 1}, "roots"))


if __name__ == "__main__":
    unittest.main()
